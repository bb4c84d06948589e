/// One copy of a database whose history is in a `ChangeLog`: every transaction of every copy is a step of it.
///
/// A transaction runs on the local copy, and is committed there when the log has taken its changes right behind the
/// last step that the copy has seen; if another copy was first, its steps are applied and the transaction runs again.
/// So transactions of all copies are serializable, and what a copy reads is never older than the moment it was asked.
///
/// The local file is worth nothing without the log and is made anew at each start. Belongs to one thread.
final class Replica {
    /// How often a transaction runs again because another copy was first.
    static let attemptsMax = 50
    /// Images loaded in one attempt to come up to date.
    static let loadsMax = 3
    /// Bytes of changes behind the last image that make a new one worth while; or twice that image, if that is more.
    static let uncompactedBytesMax = 8 << 20
    /// What a step counts besides its bytes: a new copy takes about as long for one as for so much of an image.
    static let stepBytes = 1024

    private let log: any ChangeLog
    private let path: String
    private let migrations: [Migration]
    private let options: ConnectionOptions
    private(set) var connection: Connection
    /// The last step that the local copy has.
    private(set) var mark = ChangeMark.beginning
    private var uncompactedBytes = 0
    private var compactAt = uncompactedBytesMax
    /// The local copy may differ from what its mark says; `catchUp` mends it.
    private(set) var isSpoilt = false

    /// Makes the local copy from the log, and brings the log's database to the program's schema.
    ///
    /// - Parameters:
    ///   - path: The local file; what is there is removed.
    ///   - migrations: Every step ever released, oldest first.
    /// - Throws: `SQLiteError`, `StorageError`, `ChangeLogError`.
    init(
        path: String,
        migrations: [Migration],
        options: ConnectionOptions,
        log: any ChangeLog
    ) throws {
        self.log = log
        self.path = path
        self.migrations = migrations
        var options = options
        options.synchronous = .off
        self.options = options
        connection = try Self.open(path, nil, options)
        try load(isStart: true)
        try migrate()
    }

    func close() { connection.close() }

    /// Runs `body` as one step of the history, or not at all.
    ///
    /// It is not asked first whether the local copy is up to date: the log refuses a step of one that is not.
    ///
    /// - Parameters:
    ///   - evenWhenFull: Whether the log takes the step also when it has no room for more.
    ///   - body: Runs again when another copy's step comes first.
    /// - Throws: What `body` throws; `SQLiteError`, `ChangeLogError`; `StorageError.contended` when others were always
    ///   first. Only after `ChangeLogError.outcomeUnknown` may the changes have been made, or be made yet.
    func write<Value>(evenWhenFull: Bool = false, _ body: (Connection) throws -> Value) throws -> Value {
        for _ in 0..<Self.attemptsMax {
            if isSpoilt { try load() }
            var step: ChangeRecord?
            do {
                let value = try connection.transaction { changes in
                    let record = makeRecord(.changes, changes)
                    guard try append(record, evenWhenFull) else { throw Overtaken() }
                    step = record
                } _: {
                    try body(connection)
                }
                if let step {
                    passed(step)
                    return value
                }
                // Nothing to change, if that was the present state.
                if try !catchUp() { return value }
            } catch is Overtaken {
                try catchUp()
            } catch let error as ChangeLogError {
                throw error
            } catch {
                if step != nil {
                    // The log has the step, and the local commit has failed.
                    isSpoilt = true
                    throw ChangeLogError.outcomeUnknown("it is stored; the copy \(path) is not: \(error)")
                }
                // Refused, if that was the present state.
                if try !catchUp() { throw error }
            }
        }
        throw StorageError.contended(attempts: Self.attemptsMax)
    }

    /// Applies the steps that other copies have made: all that were in the log when this was called.
    ///
    /// - Returns: Whether there were any.
    @discardableResult
    func catchUp() throws -> Bool {
        if isSpoilt { try load() }
        let start = mark
        var loads = 0
        while true {
            if let records = try log.records(after: mark) {
                guard !records.isEmpty else { return mark != start }
                if try records.allSatisfy(apply) { continue }
            }
            // An image may have come meanwhile, once or twice; one that does not fit what follows it does not mend.
            guard loads < Self.loadsMax else { throw StorageError.historyLost(path: path) }
            loads += 1
            try load()
        }
    }

    // MARK: -

    private struct Overtaken: Error {}

    /// - Returns: False when the whole database has to be loaded: it was replaced, or the copies have parted.
    private func apply(_ record: ChangeRecord) throws -> Bool {
        switch record.kind {
        case .replaced: return false
        case .compacted, .fence: break
        case .changes:
            do { try connection.apply(record.bytes) } catch let error as SQLiteError where error.isAborted {
                return false
            }
        }
        passed(record)
        return true
    }

    private func passed(_ record: ChangeRecord) {
        mark = record.mark
        if record.kind == .compacted {
            uncompactedBytes = 0
        } else {
            uncompactedBytes += record.bytes.count + Self.stepBytes
        }
    }

    private func makeRecord(_ kind: ChangeRecord.Kind, _ bytes: [UInt8] = []) -> ChangeRecord {
        let token = (0..<2).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 36) }.joined(separator: "-")
        return ChangeRecord(mark: ChangeMark(number: mark.number + 1, token: token), kind: kind, bytes: bytes)
    }

    /// Appends a step behind the local copy's last one.
    ///
    /// When its outcome is not known, another record is sent for the same place: either that one gets it, and the step
    /// cannot any more, or the place is taken and shows by whom.
    private func append(_ record: ChangeRecord, _ evenWhenFull: Bool) throws -> Bool {
        let reason: String
        do {
            return try log.append(record, after: mark, evenWhenFull: evenWhenFull)
        } catch .outcomeUnknown(let text) {
            reason = text
        }
        do {
            if try log.append(makeRecord(.fence), after: mark, evenWhenFull: true) { return false }
            if let records = try log.records(after: mark) { return records.first?.mark == record.mark }
        } catch {
            // It stays unknown.
        }
        throw ChangeLogError.outcomeUnknown(reason)
    }

    // MARK: - Images

    /// Makes the local copy from the newest image; the steps behind it follow with `catchUp`.
    ///
    /// - Throws: `StorageError.newerVersion`; `.historyLost` when there is no image any more, or one of an older
    ///   schema.
    private func load(isStart: Bool = false) throws {
        isSpoilt = true
        let image = try log.latestImage()
        guard isStart || image != nil else { throw StorageError.historyLost(path: path) }
        connection.close()
        connection = try Self.open(path, image?.bytes, options)
        mark = image?.mark ?? .beginning
        uncompactedBytes = 0
        compactAt = max(Self.uncompactedBytesMax, 2 * (image?.bytes.count ?? 0))
        if try Migrator(migrations).isBehind(connection), !isStart { throw StorageError.historyLost(path: path) }
        isSpoilt = false
    }

    private func migrate() throws {
        while true {
            try catchUp()
            guard try !Migrator(migrations).migrate(connection).isEmpty else { return }
            let hidden = try connection.tablesWithoutKey()
            guard hidden.isEmpty else {
                throw SQLiteError.misuse("tables without a primary key: \(hidden.joined(separator: ", "))")
            }
            // Until the log has it the local copy is ahead of its mark.
            isSpoilt = true
            let record = makeRecord(.replaced)
            if try connection.withImage({ try log.publish($0, record, after: mark) }) {
                try load()
                return
            }
        }
    }

    /// Whether the steps since the last image are worth a new one.
    var isCompactionDue: Bool { uncompactedBytes >= compactAt }

    /// Puts an image in the place of all steps so far, unless another copy makes a step meanwhile.
    func compact() throws {
        try catchUp()
        let record = makeRecord(.compacted)
        try connection.withImage { image in
            let bytesMax = max(Self.uncompactedBytesMax, 2 * image.count)
            // If nothing comes of it, the next attempt waits for as many bytes again.
            compactAt = uncompactedBytes + bytesMax
            guard try log.publish(image, record, after: mark) else { return }
            passed(record)
            compactAt = bytesMax
        }
    }

    private static func open(_ path: String, _ image: [UInt8]?, _ options: ConnectionOptions) throws -> Connection {
        try FilePreparation.replaceDatabase(path, with: image ?? [])
        return try Connection(path: path, options: options)
    }
}
