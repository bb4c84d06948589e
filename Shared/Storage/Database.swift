import Synchronization

/// A SQLite file behind one connection on a queue of its own.
///
/// One call is one transaction and one hop to the queue (some microseconds), so a request's statements belong in one
/// closure:
///
///     let changed = try await database.write { db in
///         try db.run("UPDATE account SET disabled = 1 WHERE user_id = ?", id)
///     }
package actor Database {
    /// Who else may have the file open.
    package enum Ownership: Sendable {
        /// Other processes may, such as a service's commands; SQLite's locks keep them apart.
        case shared
        /// No other owner; the opening of a second one fails with `advice` for the operator.
        case exclusiveOwner(advice: String)
    }

    /// Calls that may wait for the queue; the next one is refused with `StorageError.overloaded`.
    package static let waitingMaxDefault = 4096

    private let executor: QueueExecutor
    private var connection: Connection?
    private var lock: FileLock?
    private let waiting = Atomic<Int>(0)
    private let waitingMax: Int
    /// The file.
    package nonisolated let path: String

    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Opens a file and brings it to the program's schema.
    ///
    /// - Parameters:
    ///   - path: The file; made with its directory when missing. `:memory:` for a private one in memory.
    ///   - migrations: Every step ever released, oldest first; none: the schema is somebody else's business.
    ///   - options: Mode, durability and limits.
    ///   - ownership: Whether this process must be the file's only owner.
    ///   - waitingMax: Calls that may wait at once.
    /// - Throws: `SQLiteError`, `StorageError`.
    package static func open(
        path: String,
        migrations: [Migration] = [],
        options: ConnectionOptions = ConnectionOptions(),
        ownership: Ownership = .shared,
        waitingMax: Int = waitingMaxDefault
    ) async throws -> Database {
        let database = Database(path: path, waitingMax: waitingMax)
        try await database.connect(migrations, options, ownership)
        return database
    }

    private init(path: String, waitingMax: Int) {
        self.path = path
        self.waitingMax = waitingMax
        executor = QueueExecutor(label: "storage \(path)")
    }

    private func connect(_ migrations: [Migration], _ options: ConnectionOptions, _ ownership: Ownership) throws {
        // What is in memory nobody else can open, and a lock file would be made in the working directory.
        if case .exclusiveOwner(let advice) = ownership, path != ":memory:" {
            lock = try FileLock(protecting: path, advice: advice)
        }
        let connection = try Connection(path: path, options: options)
        if !migrations.isEmpty { try Migrator(migrations).migrate(connection) }
        self.connection = connection
    }

    /// Runs `body` in one `BEGIN IMMEDIATE` transaction: committed when it returns, rolled back when it throws.
    ///
    /// - Throws: What `body` throws; `SQLiteError`, nothing being stored then; `StorageError.closed`, `.overloaded`.
    @discardableResult
    package nonisolated func write<Value: Sendable>(
        _ body: @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await bounded { try await self.transact(.immediate, body) }
    }

    /// Runs `body` on one state of the file.
    ///
    /// - Throws: As `write`; misuse when `body` has written, which is then rolled back.
    @discardableResult
    package nonisolated func read<Value: Sendable>(
        _ body: @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await bounded {
            try await self.transact(.deferred) { db in
                let value = try body(db)
                guard !db.hasWritten else { throw SQLiteError.misuse("a write within read { }") }
                return value
            }
        }
    }

    /// Runs `body` outside any transaction: for checkpoints, `VACUUM`, PRAGMAs.
    @discardableResult
    package nonisolated func withConnection<Value: Sendable>(
        _ body: @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await bounded { try await self.direct(body) }
    }

    /// Waits for the calls before it, then closes the file and gives up its ownership.
    ///
    /// Later calls throw `.closed`.
    package func close() {
        connection?.close()
        connection = nil
        lock = nil
    }

    // MARK: - On the queue

    private func transact<Value: Sendable>(
        _ kind: Connection.TransactionKind,
        _ body: @Sendable (Connection) throws -> Value
    ) throws -> Value {
        guard let connection else { throw StorageError.closed(path: path) }
        return try connection.transaction(kind) { try body(connection) }
    }

    private func direct<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) throws -> Value {
        guard let connection else { throw StorageError.closed(path: path) }
        return try body(connection)
    }

    private nonisolated func bounded<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let count = waiting.add(1, ordering: .relaxed).newValue
        defer { waiting.subtract(1, ordering: .relaxed) }
        guard count <= waitingMax else { throw StorageError.overloaded(waitingMax: waitingMax) }
        return try await body()
    }
}
