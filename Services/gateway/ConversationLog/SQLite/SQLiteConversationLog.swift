import Core
import Dispatch
import Foundation
import Net
import Storage
import Synchronization

/// The embedded engine: one process, one writer thread, readers on their own connections.
final class SQLiteConversationLog: ConversationLog {
    /// The most reads that wait; a further one fails at once.
    private static let waitingReadsMax = 50_000

    private struct TooManyReads: Error {}

    private typealias Job = @Sendable (LogReader) -> Void

    private struct ReadQueue {
        var jobs: [Job] = []
        var isStopping = false
    }

    /// Given up by `close`, so that the files can be opened again at once.
    private let lock: Mutex<FileLock?>
    private let writer: LogWriter
    private let committed: LogCommitter.Committed
    private let indexer: LogIndexer
    private let reads = Mutex(ReadQueue())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// Opens or makes the log, and brings its index up to date.
    ///
    /// - Parameters:
    ///   - directory: Where the files lie; made if missing.
    ///   - intervalMilliseconds: The least time between the starts of two commits.
    ///   - committed: Gets every batch back, on the writer's thread.
    ///   - moved: Gets the receipts that are stored, on the same thread.
    /// - Throws: `StorageError` when another process owns the files, `SQLiteError`.
    init(
        directory: String,
        intervalMilliseconds: Int,
        log: Log,
        committed: @escaping LogCommitter.Committed,
        moved: @escaping LogCommitter.Moved = { _ in }
    ) throws {
        let files = LogFiles(directory: directory)
        let owned = try FileLock(
            protecting: files.log,
            advice: "Stop the other gateway, or give all of them a redis:// store, which many can share."
        )
        lock = Mutex(owned)
        self.committed = committed
        let connection = try files.openWriter()
        let tail = LogTail()
        indexer = try LogIndexer(files: files, tail: tail, log: log)
        try indexer.recover(from: connection)
        let committer = try LogCommitter(
            connection: connection,
            index: files.openIndexReader(),
            tail: tail,
            indexer: indexer,
            log: log,
            committed: committed,
            moved: moved
        )
        writer = LogWriter(committer, intervalMilliseconds: intervalMilliseconds)
        let reader = Handover(try LogReader(files: files, tail: tail))
        indexer.start()
        writer.start()
        Thread.detachNewThread { [self] in serveReads(reader.value) }
    }

    func append(_ batch: Handover<AppendBatch>) {
        if writer.append(batch) { return }
        let problem = FrameProblem(code: .unavailable, message: "the message log is closed; nothing was stored")
        LogCommitter.fail([batch.value], problem)
        committed(Handover([batch.value]))
    }

    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?) {
        writer.move(receipt, of: user, from: origin)
    }

    func settle(_ number: Int64) { writer.settle(number) }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int,
        bytesMax: Int,
        _ answer: @escaping @Sendable (Result<EntryPage, any Error>) -> Void
    ) {
        enqueue(answer) { try $0.read(conversationID, range, limit: limit, bytesMax: bytesMax) }
    }

    func positions(
        of user: String,
        naming: [String],
        _ answer: @escaping @Sendable (Result<[MemberPosition], any Error>) -> Void
    ) {
        enqueue(answer) { try $0.positions(of: user, naming: naming) }
    }

    func position(
        of user: String,
        in conversationID: String,
        _ answer: @escaping @Sendable (Result<MemberPosition?, any Error>) -> Void
    ) {
        enqueue(answer) { try $0.position(of: user, in: conversationID) }
    }

    func members(of conversationID: String, _ answer: @escaping @Sendable (Result<[String], any Error>) -> Void) {
        enqueue(answer) { try $0.members(of: conversationID) }
    }

    func conversations(
        _ query: ConversationQuery,
        _ answer: @escaping @Sendable (Result<ConversationPage, any Error>) -> Void
    ) {
        enqueue(answer) { try $0.conversations(query) }
    }

    func conversation(
        _ conversationID: String,
        for user: String,
        _ answer: @escaping @Sendable (Result<ConversationSummary?, any Error>) -> Void
    ) {
        enqueue(answer) { try $0.conversation(conversationID, for: user) }
    }

    func outbox(
        after number: Int64,
        limit: Int,
        _ answer: @escaping @Sendable (Result<[OutboxItem], any Error>) -> Void
    ) {
        enqueue(answer) { try $0.outbox(after: number, limit: limit) }
    }

    func check(_ answer: @escaping @Sendable (Result<Void, any Error>) -> Void) {
        enqueue(answer) { try $0.check() }
    }

    func close() async {
        await withCheckedContinuation { continuation in
            // The threads end when their queues are empty: waiting for them must not block the caller's executor.
            Thread.detachNewThread { [self] in
                writer.stop()
                reads.withLock { $0.isStopping = true }
                wake.signal()
                ended.wait()
                indexer.stop()
                writer.close()
                lock.withLock { $0 = nil }
                continuation.resume()
            }
        }
    }

    // MARK: - Reads

    private func enqueue<Value: Sendable>(
        _ answer: @escaping @Sendable (Result<Value, any Error>) -> Void,
        _ body: @escaping @Sendable (LogReader) throws -> Value
    ) {
        let isTaken = reads.withLock { reads in
            guard reads.jobs.count < Self.waitingReadsMax, !reads.isStopping else { return false }
            reads.jobs.append { reader in answer(Result { try body(reader) }) }
            return true
        }
        if isTaken { wake.signal() } else { answer(.failure(TooManyReads())) }
    }

    private func serveReads(_ reader: LogReader) {
        while true {
            wake.wait()
            let (jobs, isStopping) = reads.withLock { reads in
                let jobs = reads.jobs
                reads.jobs = []
                return (jobs, reads.isStopping)
            }
            for job in jobs { job(reader) }
            if isStopping && jobs.isEmpty { break }
            if isStopping { wake.signal() }
        }
        reader.close()
        ended.signal()
    }
}
