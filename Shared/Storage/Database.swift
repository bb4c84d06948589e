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

    /// Where the data are.
    private enum Store {
        case file(Connection)
        case replica(Replica)

        var connection: Connection {
            switch self {
            case .file(let connection): connection
            case .replica(let replica): replica.connection
            }
        }
    }

    private let executor: QueueExecutor
    private var store: Store?
    private var lock: FileLock?
    private let waiting = Atomic<Int>(0)
    private let waitingMax: Int
    /// Reads that were asked for so far: a read's number among them says when that was.
    private let readsAsked = Atomic<Int>(0)
    /// The last read for which the copy is new enough: it has every step that was in the log when that was asked for.
    private var freshThrough = 0
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
    ///   - log: The history that the file is a copy of (`Replica`); `nil`: the file itself is the database.
    /// - Throws: `SQLiteError`, `StorageError`, `ChangeLogError`.
    package static func open(
        path: String,
        migrations: [Migration] = [],
        options: ConnectionOptions = ConnectionOptions(),
        ownership: Ownership = .shared,
        waitingMax: Int = waitingMaxDefault,
        log: (any ChangeLog)? = nil
    ) async throws -> Database {
        let database = Database(path: path, waitingMax: waitingMax)
        try await database.connect(migrations, options, ownership, log)
        return database
    }

    /// Opens a copy of a replicated database, under the first free name of `name-1.db`, `name-2.db` and so on.
    ///
    /// - Parameters:
    ///   - directory: Where the copies of all processes of this machine lie.
    ///   - name: The database's.
    ///   - migrations: Every step ever released, oldest first.
    ///   - log: The history.
    /// - Throws: As `open`.
    package static func openCopy(
        in directory: String,
        name: String,
        migrations: [Migration],
        log: any ChangeLog
    ) async throws -> Database {
        for number in 1..<copiesMax {
            do {
                return try await open(
                    path: "\(directory)/\(name)-\(number).db",
                    migrations: migrations,
                    ownership: .exclusiveOwner(advice: ""),
                    log: log
                )
            } catch StorageError.owned {}
        }
        return try await open(
            path: "\(directory)/\(name)-\(copiesMax).db",
            migrations: migrations,
            ownership: .exclusiveOwner(advice: "\(copiesMax) processes have copies here; give some another data_dir."),
            log: log
        )
    }

    /// Copies of one database in one directory.
    private static let copiesMax = 64

    private init(path: String, waitingMax: Int) {
        self.path = path
        self.waitingMax = waitingMax
        executor = QueueExecutor(label: "storage \(path)")
    }

    private func connect(
        _ migrations: [Migration],
        _ options: ConnectionOptions,
        _ ownership: Ownership,
        _ log: (any ChangeLog)?
    ) throws {
        // What is in memory nobody else can open, and a lock file would be made in the working directory.
        if case .exclusiveOwner(let advice) = ownership, path != ":memory:" {
            lock = try FileLock(protecting: path, advice: advice)
        }
        if let log {
            store = .replica(try Replica(path: path, migrations: migrations, options: options, log: log))
            return
        }
        let connection = try Connection(path: path, options: options)
        if !migrations.isEmpty { try Migrator(migrations).migrate(connection) }
        store = .file(connection)
    }

    /// Runs `body` in one `BEGIN IMMEDIATE` transaction: committed when it returns, rolled back when it throws.
    ///
    /// With a log it runs again when another copy was first: it does nothing but read and write.
    ///
    /// - Parameters:
    ///   - evenWhenFull: Whether a log takes it also when it has no room for more: for what ends or removes something,
    ///     of which there is only so much.
    ///   - body: Reads and writes.
    /// - Throws: What `body` throws; `SQLiteError`, nothing being stored then; `StorageError.closed`, `.overloaded`;
    ///   with a log `ChangeLogError`, `StorageError.contended`.
    @discardableResult
    package nonisolated func write<Value: Sendable>(
        evenWhenFull: Bool = false,
        _ body: @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await bounded { try await self.transact(evenWhenFull, body) }
    }

    /// Runs `body` on one state of the file.
    ///
    /// With a log that is one which has every step that was in the log when this was called. Reads that wait for one
    /// another ask the log together.
    ///
    /// - Throws: As `write`; misuse when `body` has written, which is then rolled back.
    @discardableResult
    package nonisolated func read<Value: Sendable>(
        _ body: @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        let number = readsAsked.add(1, ordering: .relaxed).newValue
        return try await bounded {
            try await self.look(number) { db in
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

    /// Puts an image in the place of a replicated database's steps so far, which also happens by itself; nothing else.
    package func compact() throws {
        if case .replica(let replica) = try open { try replica.compact() }
    }

    /// Bytes of changes after which a replicated database is stored whole; or twice its size, if that is more.
    package static let uncompactedBytesMax = Replica.uncompactedBytesMax

    /// Waits for the calls before it, then closes the file and gives up its ownership.
    ///
    /// Later calls throw `.closed`.
    package func close() {
        store?.connection.close()
        store = nil
        lock = nil
    }

    // MARK: - On the queue

    private func transact<Value: Sendable>(
        _ evenWhenFull: Bool,
        _ body: @Sendable (Connection) throws -> Value
    ) throws -> Value {
        switch try open {
        case .file(let connection):
            return try connection.transaction(.immediate) { try body(connection) }
        case .replica(let replica):
            let value = try replica.write(evenWhenFull: evenWhenFull, body)
            // What keeps the image from being made now is tried again later; the transaction is stored.
            if replica.isCompactionDue { try? replica.compact() }
            return value
        }
    }

    /// - Parameter number: The read's, of `readsAsked`.
    private func look<Value: Sendable>(
        _ number: Int,
        _ body: @Sendable (Connection) throws -> Value
    ) throws -> Value {
        let store = try open
        if case .replica(let replica) = store, number > freshThrough || replica.isSpoilt {
            // Before the log is asked: what is asked for from then on may need a later step.
            let asked = readsAsked.load(ordering: .relaxed)
            try replica.catchUp()
            freshThrough = asked
        }
        return try store.connection.transaction(.deferred) { try body(store.connection) }
    }

    private func direct<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) throws -> Value {
        try body(try open.connection)
    }

    private var open: Store {
        get throws {
            guard let store else { throw StorageError.closed(path: path) }
            return store
        }
    }

    private nonisolated func bounded<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        let count = waiting.add(1, ordering: .relaxed).newValue
        defer { waiting.subtract(1, ordering: .relaxed) }
        guard count <= waitingMax else { throw StorageError.overloaded(waitingMax: waitingMax) }
        return try await body()
    }
}
