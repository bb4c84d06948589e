/// One step of a database's schema, in the append-only list that a program keeps of them.
package struct Migration: Sendable {
    /// Recorded in the file; unique in the list, never changed once released.
    package let name: String
    let apply: @Sendable (Connection) throws -> Void

    /// A step in code.
    package init(_ name: String, apply: @escaping @Sendable (Connection) throws -> Void) {
        self.name = name
        self.apply = apply
    }

    /// A step in SQL, any number of statements.
    package init(_ name: String, sql: String) {
        self.init(name) { try $0.execute(sql) }
    }
}

/// Brings a file to the program's schema: the steps it has not yet had, in order, each in one transaction that also
/// records it in the table `schema_migration`.
///
/// Steps are only ever appended to the list, and never destroy what an older program would still need. A file that has
/// steps beyond the program's belongs to a newer version and is refused.
package struct Migrator: Sendable {
    private let migrations: [Migration]

    /// - Parameter migrations: Every step ever released, oldest first.
    package init(_ migrations: [Migration]) { self.migrations = migrations }

    /// Applies what is missing; safe when several processes do so at once.
    ///
    /// - Returns: The names of the steps applied now.
    /// - Throws: `StorageError.newerVersion`, `.differentHistory`, or what a step throws; that step is rolled back,
    ///   earlier ones stay.
    @discardableResult
    package func migrate(_ connection: Connection) throws -> [String] {
        var applied: [String] = []
        while let name = try applyNext(connection) { applied.append(name) }
        return applied
    }

    /// Whether there are steps that the file has not had.
    ///
    /// - Throws: As `migrate`.
    package func isBehind(_ connection: Connection) throws -> Bool {
        guard try isTableThere(connection) else { return !migrations.isEmpty }
        return try next(connection) != nil
    }

    /// Whether the file has had any step of any program.
    package func hasBegun(_ connection: Connection) throws -> Bool { try isTableThere(connection) }

    private func applyNext(_ connection: Connection) throws -> String? {
        // Looking first keeps the usual start, with nothing to do, from taking the write lock.
        if try isTableThere(connection), try next(connection) == nil { return nil }
        return try connection.transaction {
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_migration (
                    position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, applied_at INTEGER NOT NULL
                ) STRICT
                """
            )
            guard let (position, migration) = try next(connection) else { return nil }
            try migration.apply(connection)
            try connection.run(
                "INSERT INTO schema_migration (position, name, applied_at) VALUES (?, ?, unixepoch())",
                position,
                migration.name
            )
            return migration.name
        }
    }

    private func isTableThere(_ connection: Connection) throws -> Bool {
        try connection.first("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migration'") { _ in
            true
        } ?? false
    }

    private func next(_ connection: Connection) throws -> (position: Int, migration: Migration)? {
        let names = try connection.rows("SELECT name FROM schema_migration ORDER BY position") { $0.string(0) }
        for (index, (inFile, migration)) in zip(names, migrations).enumerated() where inFile != migration.name {
            throw StorageError.differentHistory(
                path: connection.path,
                position: index + 1,
                inFile: inFile,
                inProgram: migration.name
            )
        }
        guard names.count <= migrations.count else {
            throw StorageError.newerVersion(
                path: connection.path,
                unknownSteps: Array(names.dropFirst(migrations.count))
            )
        }
        return names.count < migrations.count ? (names.count + 1, migrations[names.count]) : nil
    }
}
