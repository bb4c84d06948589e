import CSQLite
import Glibc

/// One connection to a SQLite file (<https://www.sqlite.org/c3ref/sqlite3.html>).
///
/// Opened without SQLite's own mutexes (`SQLITE_OPEN_NOMUTEX`), so it belongs to one thread at a time: `Database` keeps
/// one behind a serial queue, a writer thread may own one directly. Not `Sendable`, so that the compiler watches.
///
/// Files are in WAL mode with foreign keys enforced, and readable by their owner only.
package final class Connection {
    private var handle: OpaquePointer?
    private var cache: [String: Statement] = [:]
    private let cachedStatementsMax: Int
    /// The file, or `:memory:`.
    package let path: String

    /// Opens a file.
    ///
    /// - Parameters:
    ///   - path: The file; `:memory:` is a private database in memory.
    ///   - options: Mode, durability and limits.
    /// - Throws: `SQLiteError`; `isCorrupt` when the file is no database.
    package init(path: String, options: ConnectionOptions = ConnectionOptions()) throws {
        self.path = path
        cachedStatementsMax = options.cachedStatementsMax
        let isFile = path != ":memory:"
        if isFile, options.mode == .create { try FilePreparation.createPrivateFile(path) }
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        switch options.mode {
        case .create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        case .readWrite: flags |= SQLITE_OPEN_READWRITE
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        }
        let result = sqlite3_open_v2(path, &handle, flags, nil)
        guard result == SQLITE_OK else {
            let error = SQLiteError(handle: handle, result: result, sql: nil)
            close()
            throw SQLiteError(extendedCode: error.extendedCode, message: "\(path): \(error.message)")
        }
        sqlite3_busy_timeout(handle, Int32(options.busyTimeoutMilliseconds))
        do { try configure(options, isFile: isFile) } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    private func configure(_ options: ConnectionOptions, isFile: Bool) throws {
        if isFile, options.mode != .readOnly {
            let mode = try first("PRAGMA journal_mode = WAL") { $0.string(0) } ?? ""
            guard mode == "wal" else { throw SQLiteError.misuse("\(path): no WAL on this file system (\(mode))") }
        }
        try execute("PRAGMA synchronous = \(options.synchronous.rawValue)")
        try execute("PRAGMA foreign_keys = ON")
        try execute("PRAGMA wal_autocheckpoint = \(options.checkpointPages)")
        try execute("PRAGMA mmap_size = \(options.memoryMapBytes)")
        cache.removeAll()
    }

    /// Finalises the kept statements and closes; a second call does nothing.
    package func close() {
        cache.removeAll()
        // v2: statements that callers still hold keep the handle until they are gone.
        sqlite3_close_v2(handle)
        handle = nil
    }

    /// Whether `close()` has been called.
    package var isClosed: Bool { handle == nil }

    // MARK: - Statements

    /// A new statement of the caller's own, to be kept.
    package func prepare(_ sql: String) throws -> Statement {
        try Statement(database: openHandle(), sql: sql, persistent: true)
    }

    /// Runs any number of statements without parameters: schemas, PRAGMAs.
    package func execute(_ sql: String) throws {
        let handle = try openHandle()
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw SQLiteError(handle: handle, result: result, sql: sql) }
    }

    /// Runs one statement with `values` for its `?`; prepared once and kept.
    ///
    ///     try db.run("UPDATE account SET name = ? WHERE id = ?", name, id)
    ///
    /// - Returns: How many rows it changed.
    @discardableResult
    package func run(_ sql: String, _ values: (any Bindable)?...) throws -> Int {
        try withStatement(sql, values) { statement in
            let before = totalChanges
            while try statement.step() {}
            return totalChanges - before
        }
    }

    /// The rows of a query, each read by `read`.
    ///
    ///     let names = try db.rows("SELECT name FROM account WHERE age > ?", 30) { $0.string(0) }
    package func rows<Value>(
        _ sql: String,
        _ values: (any Bindable)?...,
        read: (Row) throws -> Value
    ) throws -> [Value] {
        try withStatement(sql, values) { statement in
            var result: [Value] = []
            while try statement.step() { result.append(try read(statement.row)) }
            return result
        }
    }

    /// The first row of a query, `nil` when there is none.
    package func first<Value>(
        _ sql: String,
        _ values: (any Bindable)?...,
        read: (Row) throws -> Value
    ) throws -> Value? {
        try withStatement(sql, values) { statement in
            try statement.step() ? try read(statement.row) : nil
        }
    }

    private func withStatement<Value>(
        _ sql: String,
        _ values: [(any Bindable)?],
        _ body: (Statement) throws -> Value
    ) throws -> Value {
        // Out of the cache while it runs: the same text used within its own loop gets a statement of its own.
        let statement = try cache.removeValue(forKey: sql) ?? prepare(sql)
        defer {
            statement.reset()
            statement.clearBindings()
            keep(statement)
        }
        try statement.bind(values)
        return try body(statement)
    }

    private func keep(_ statement: Statement) {
        guard !isClosed else { return }
        // Texts are literals of the program; more than the limit means that values were pasted into them.
        if cache.count >= cachedStatementsMax { cache.removeAll() }
        cache[statement.sql] = statement
    }

    // MARK: - Transactions

    /// How a transaction begins (<https://www.sqlite.org/lang_transaction.html>).
    package enum TransactionKind: String {
        /// Takes the write lock at once, waiting for it up to the busy time-out.
        case immediate = "BEGIN IMMEDIATE"
        /// Sees one state of the file from its first read on.
        case deferred = "BEGIN DEFERRED"
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws.
    ///
    /// - Throws: What `body` throws; `SQLiteError` when beginning or committing fails, nothing being stored then;
    ///   misuse within another transaction.
    package func transaction<Value>(
        _ kind: TransactionKind = .immediate,
        _ body: () throws -> Value
    ) throws -> Value {
        guard !isInTransaction else { throw SQLiteError.misuse("a transaction within a transaction") }
        try run(kind.rawValue)
        do {
            let value = try body()
            try run("COMMIT")
            return value
        } catch {
            // SQLite has rolled back by itself after some errors (full, I/O), and then there is nothing to roll back.
            if isInTransaction { try? execute("ROLLBACK") }
            throw error
        }
    }

    /// Whether a transaction is open.
    package var isInTransaction: Bool { handle.map { sqlite3_get_autocommit($0) == 0 } ?? false }

    /// Whether the open transaction has written.
    package var hasWritten: Bool { handle.map { sqlite3_txn_state($0, nil) == SQLITE_TXN_WRITE } ?? false }

    // MARK: - State

    /// The rows that the last INSERT, UPDATE or DELETE changed.
    package var changes: Int { handle.map { Int(sqlite3_changes64($0)) } ?? 0 }

    /// The rows changed since the connection was opened.
    package var totalChanges: Int { handle.map { Int(sqlite3_total_changes64($0)) } ?? 0 }

    /// The rowid of the last inserted row.
    package var lastInsertRowID: Int64 { handle.map { sqlite3_last_insert_rowid($0) } ?? 0 }

    /// An integer PRAGMA's value, such as `user_version` or `page_count`.
    ///
    /// - Parameter name: A literal of the program; it goes into the statement as it is.
    package func pragma(_ name: String) throws -> Int64 {
        try first("PRAGMA \(name)") { $0.int64(0) } ?? 0
    }

    /// Sets an integer PRAGMA; `name` as above.
    package func setPragma(_ name: String, _ value: Int64) throws {
        try execute("PRAGMA \(name) = \(value)")
    }

    /// The handle of a connection that is open.
    func openHandle() throws -> OpaquePointer {
        guard let handle else { throw SQLiteError.misuse("\(path): the connection is closed") }
        return handle
    }
}
