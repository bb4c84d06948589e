/// Why a database cannot be imported as asked; the text is for the operator.
package struct ImportRefusal: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Begins a history (`ChangeLog`) with a database file that was the database itself until now.
///
/// The file is only read; what is to be migrated is a copy of it. The history gets the whole of it as its first record
/// or nothing, so that a process that is killed here leaves nothing that anybody sees.
package actor HistoryImport {
    /// What the history begins with.
    package struct Summary: Sendable, Equatable {
        /// One table.
        package struct Table: Sendable, Equatable {
            package let name: String
            package let rows: Int
        }

        /// The image's size.
        package let bytes: Int
        /// The tables with their rows, by name.
        package let tables: [Table]
        /// False when an earlier import of the same file has done it, and nothing has changed since.
        package let isNew: Bool
    }

    private let executor: QueueExecutor
    private let path: String
    private let migrations: [Migration]
    private let log: any ChangeLog

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - path: The file that is imported.
    ///   - migrations: Every step ever released, oldest first.
    ///   - log: Where the history begins; its calls block this actor's queue.
    package init(path: String, migrations: [Migration], log: any ChangeLog) {
        self.path = path
        self.migrations = migrations
        self.log = log
        executor = QueueExecutor(label: "import \(path)")
    }

    /// Does it, while nobody else has the file open.
    ///
    /// - Parameters:
    ///   - scratch: Where a copy may lie for as long as it is migrated.
    ///   - token: Names the import in the history, by the file's bytes: the same for the same ones.
    ///   - check: Looks at the file before anything is done.
    /// - Throws: `ImportRefusal`, `StorageError` when it must not be done; `SQLiteError`, `ChangeLogError`; what
    ///   `check` throws.
    package func run(
        scratch: String,
        token: @Sendable ([UInt8]) -> String,
        check: @Sendable (Connection) throws -> Void = { _ in }
    ) throws -> Summary {
        // The lock's file is made beside it, which must not make the directory of a mistyped path.
        guard FilePreparation.exists(path) else { throw ImportRefusal("\(path): there is no such file") }
        let lock = try FileLock(protecting: path, advice: "Stop it first.")
        defer { withExtendedLifetime(lock) {} }
        try refuseUse()
        let source = try readSource(check)
        // Who came meanwhile may have written what was not read.
        try refuseUse()
        let mark = ChangeMark(number: 1, token: token(source.image))
        guard try !isThere(mark) else { return summary(source, source.image, isNew: false) }
        let image = source.isBehind ? try migrated(source.image, scratch) : source.image
        let record = ChangeRecord(mark: mark, kind: .replaced)
        do {
            guard try image.withUnsafeBytes({ try log.publish($0, record, after: .beginning) }) else {
                throw ImportRefusal("somebody else has begun the history meanwhile")
            }
        } catch ChangeLogError.outcomeUnknown(let reason) {
            // What is asked now shows what became of it; if it cannot be asked, the next run does.
            guard try log.latestImage()?.mark == mark else { throw ChangeLogError.outcomeUnknown(reason) }
        }
        return summary(source, image, isNew: true)
    }

    // MARK: - The file

    private struct Source {
        let image: [UInt8]
        let tables: [Summary.Table]
        /// Whether its schema is an older one.
        let isBehind: Bool
    }

    private func summary(_ source: Source, _ image: [UInt8], isNew: Bool) -> Summary {
        Summary(bytes: image.count, tables: source.tables, isNew: isNew)
    }

    private func refuseUse() throws {
        guard let user = try FileLock.databaseUser(path) else { return }
        throw StorageError.owned(path: path, owner: user, advice: "Stop it first.")
    }

    private func readSource(_ check: (Connection) throws -> Void) throws -> Source {
        let connection = try Connection(path: path, options: ConnectionOptions(mode: .readOnly))
        defer { connection.close() }
        let migrator = Migrator(migrations)
        guard try migrator.hasBegun(connection) else {
            throw ImportRefusal("\(path): is no database of this program")
        }
        let isBehind = try migrator.isBehind(connection)
        try check(connection)
        let names = try connection.rows(
            """
            SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                AND name <> 'schema_migration' ORDER BY name
            """
        ) { $0.string(0) }
        let tables = try names.map { name in
            let rows = try connection.first("SELECT count(*) FROM \"\(name)\"") { $0.int(0) } ?? 0
            return Summary.Table(name: name, rows: rows)
        }
        return Source(image: try connection.image(), tables: tables, isBehind: isBehind)
    }

    /// The image of a copy with the program's schema.
    private func migrated(_ image: [UInt8], _ scratch: String) throws -> [UInt8] {
        let lock = try FileLock(protecting: scratch, advice: "It is another import; wait for its end.")
        defer { withExtendedLifetime(lock) {} }
        try FilePreparation.replaceDatabase(scratch, with: image)
        defer { try? FilePreparation.removeDatabase(scratch) }
        let connection = try Connection(path: scratch, options: ConnectionOptions(synchronous: .off))
        defer { connection.close() }
        try Migrator(migrations).migrate(connection)
        return try connection.image()
    }

    // MARK: - The history

    /// Whether the history is this import and nothing else.
    ///
    /// - Throws: `ImportRefusal` when it is another one: histories are never merged.
    private func isThere(_ mark: ChangeMark) throws -> Bool {
        guard let image = try log.latestImage() else {
            guard try log.records(after: .beginning)?.isEmpty == true else {
                throw ImportRefusal("the target has a history without an image already, and nothing is merged")
            }
            return false
        }
        let later = try log.records(after: image.mark)
        if image.mark == mark, later?.isEmpty == true { return true }
        let steps = later.map { $0.isEmpty ? "" : ", and \($0.count) steps or more behind it" } ?? ""
        throw ImportRefusal(
            "the target has a database already, an image of \(image.bytes.count) bytes as of step \(image.mark.number)"
                + "\(steps); nothing is merged"
        )
    }
}
