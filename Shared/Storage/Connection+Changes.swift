import CSQLite

/// What transactions change, as bytes that another copy of the database can apply
/// (<https://www.sqlite.org/sessionintro.html>).
///
/// Rows are named by their primary keys: a table without one of its own is not seen.
extension Connection {
    /// Runs `body` in a `BEGIN IMMEDIATE` transaction and shows what it has changed before it is committed.
    ///
    /// - Parameters:
    ///   - publish: Gets the changes, triggers' and cascades' included; not called when there are none. When it throws,
    ///     all is rolled back.
    ///   - body: Reads and writes.
    /// - Throws: As `transaction`; what `publish` throws.
    package func transaction<Value>(
        publishing publish: ([UInt8]) throws -> Void,
        _ body: () throws -> Value
    ) throws -> Value {
        let session = try ChangeSession(openHandle())
        return try transaction(.immediate) {
            let value = try body()
            let changes = try session.changes()
            if !changes.isEmpty { try publish(changes) }
            return value
        }
    }

    /// Applies the changes of a transaction on another copy, all or none.
    ///
    /// They are taken literally: no trigger fires, no foreign key cascades, since what these did is among the changes.
    ///
    /// - Throws: `SQLiteError`; `isAborted` when a row is not as it was there, so that the copies have parted.
    package func apply(_ changes: [UInt8]) throws {
        let handle = try openHandle()
        guard !isInTransaction else { throw SQLiteError.misuse("changes applied within a transaction") }
        // Neither can be switched within a transaction; the call below has one of its own.
        try execute("PRAGMA foreign_keys = OFF")
        csqlite_enable_triggers(handle, 0)
        defer {
            csqlite_enable_triggers(handle, 1)
            try? execute("PRAGMA foreign_keys = ON")
        }
        var changes = changes
        let count = Int32(changes.count)
        let result = changes.withUnsafeMutableBytes { buffer in
            sqlite3changeset_apply(handle, count, buffer.baseAddress, nil, { _, _, _ in SQLITE_CHANGESET_ABORT }, nil)
        }
        guard result == SQLITE_OK else { throw SQLiteError(handle: nil, result: result, sql: nil) }
    }

    /// The whole database as a file's bytes, which are there while `body` runs: there is one copy of them in memory.
    package func withImage<Value>(_ body: (UnsafeRawBufferPointer) throws -> Value) throws -> Value {
        let handle = try openHandle()
        var count: sqlite3_int64 = 0
        guard let bytes = sqlite3_serialize(handle, "main", &count, 0) else {
            throw SQLiteError(extendedCode: SQLITE_NOMEM, message: "\(path): no memory for an image")
        }
        defer { sqlite3_free(bytes) }
        return try body(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
    }

    /// The same, to keep.
    package func image() throws -> [UInt8] { try withImage { Array($0) } }

    /// The tables whose changes would not be seen.
    package func tablesWithoutKey() throws -> [String] {
        try rows(
            """
            SELECT name FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                AND NOT EXISTS (SELECT 1 FROM pragma_table_info(s.name) WHERE pk > 0)
            ORDER BY name
            """
        ) { $0.string(0) }
    }
}

/// Notes what is written on a connection while it lives.
private final class ChangeSession {
    private let handle: OpaquePointer

    init(_ database: OpaquePointer) throws {
        var handle: OpaquePointer?
        let result = sqlite3session_create(database, "main", &handle)
        guard result == SQLITE_OK, let handle else { throw SQLiteError(handle: database, result: result, sql: nil) }
        self.handle = handle
        let attached = sqlite3session_attach(handle, nil)
        guard attached == SQLITE_OK else {
            sqlite3session_delete(handle)
            throw SQLiteError(handle: database, result: attached, sql: nil)
        }
    }

    deinit { sqlite3session_delete(handle) }

    /// What was changed so far.
    func changes() throws -> [UInt8] {
        var count: Int32 = 0
        var bytes: UnsafeMutableRawPointer?
        let result = sqlite3session_changeset(handle, &count, &bytes)
        guard result == SQLITE_OK else { throw SQLiteError(handle: nil, result: result, sql: nil) }
        defer { sqlite3_free(bytes) }
        guard let bytes, count > 0 else { return [] }
        return Array(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
    }
}
