import Core
import Dispatch
import Foundation
import Net
import Storage
import Synchronization

/// The thread that owns `log.db`: appends whatever is queued in one transaction, then hands the batches back.
///
/// At least `intervalMilliseconds` lie between the starts of two commits, so that on a fast disk a commit still gathers
/// something (at 20,000/s: 22 µs a message without the interval, 4.6 with 1 ms); an idle log commits at once.
///
/// `@unchecked Sendable`: `queue` has a mutex; all else belongs to the thread once `start` was called.
final class LogWriter: @unchecked Sendable {
    /// Called on the writer's thread with batches whose outcomes are set.
    typealias Committed = @Sendable (Handover<[AppendBatch]>) -> Void

    /// Positions are stored with the next commit that is so much later, or alone.
    static let positionsInterval: Int64 = 200
    /// The most positions that wait to be stored; beyond it the oldest are stored at once.
    private static let positionsMax = 100_000

    private struct Position: Hashable {
        let user: String
        let conversationID: String
    }

    private struct Queue {
        var batches: [AppendBatch] = []
        var positions: [Position: Int] = [:]
        var isStopping = false
        /// Whether the thread waits to be woken.
        var isIdle = false
    }

    private let connection: Connection
    private let entries: LogEntries
    private let tail: LogTail
    private let indexer: LogIndexer
    private let log: Log
    private let interval: Int64
    private let committed: Committed
    private let queue = Mutex(Queue())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(
        files: LogFiles,
        connection: Connection,
        tail: LogTail,
        indexer: LogIndexer,
        log: Log,
        intervalMilliseconds: Int,
        committed: @escaping Committed
    ) throws {
        self.connection = connection
        self.tail = tail
        self.indexer = indexer
        self.log = log
        interval = Int64(intervalMilliseconds)
        self.committed = committed
        entries = try LogEntries(connection: connection, index: files.openIndexReader(), tail: tail)
    }

    func start() {
        Thread.detachNewThread { [self] in
            while runOnce() {}
            ended.signal()
        }
    }

    /// Queues a batch; from any thread.
    func append(_ batch: Handover<AppendBatch>) {
        let mustWake = queue.withLock { queue in
            queue.batches.append(batch.value)
            defer { queue.isIdle = false }
            return queue.isIdle
        }
        if mustWake { wake.signal() }
    }

    /// Queues a position; from any thread.
    func setDelivered(user: String, conversationID: String, sequence: Int) {
        let position = Position(user: user, conversationID: conversationID)
        let mustWake = queue.withLock { queue in
            queue.positions[position] = max(queue.positions[position] ?? 0, sequence)
            guard queue.positions.count >= Self.positionsMax else { return false }
            defer { queue.isIdle = false }
            return queue.isIdle
        }
        if mustWake { wake.signal() }
    }

    /// Commits what is queued and ends the thread.
    func stop() {
        queue.withLock { $0.isStopping = true }
        wake.signal()
        ended.wait()
        connection.close()
    }

    // MARK: - The thread

    private var lastCommit: Int64 = 0
    private var lastPositions: Int64 = 0

    /// Waits for work and commits it; false when the writer is to end.
    private func runOnce() -> Bool {
        let isWorkThere = queue.withLock { queue in
            let isThere = !queue.batches.isEmpty || queue.isStopping
            queue.isIdle = !isThere
            return isThere
        }
        if !isWorkThere {
            _ = wake.wait(timeout: .now() + .milliseconds(Int(Self.positionsInterval)))
        }
        let pause = lastCommit + interval - Monotonic.milliseconds()
        if isWorkThere, pause > 0 { usleep(UInt32(pause) * 1000) }
        let now = Monotonic.milliseconds()
        let arePositionsDue = now - lastPositions >= Self.positionsInterval
        let (batches, positions, isStopping) = queue.withLock { queue in
            let batches = Handover(queue.batches)
            queue.batches = []
            queue.isIdle = false
            guard arePositionsDue || queue.isStopping else { return (batches, [Position: Int](), false) }
            let positions = queue.positions
            queue.positions = [:]
            return (batches, positions, queue.isStopping)
        }
        if !batches.value.isEmpty || !positions.isEmpty {
            lastCommit = now
            if !positions.isEmpty { lastPositions = now }
            commit(batches.value, positions)
        }
        return !isStopping || !batches.value.isEmpty
    }

    private func commit(_ batches: [AppendBatch], _ positions: [Position: Int]) {
        do {
            try connection.transaction {
                entries.beginCommit()
                for batch in batches {
                    for index in batch.appends.indices { try entries.append(batch, index) }
                }
                for (position, sequence) in positions {
                    try entries.setDelivered(position.user, position.conversationID, sequence)
                }
            }
            let waiting = tail.add(entries.endCommit())
            if waiting >= LogIndexer.runEntries { indexer.runSoon() }
        } catch {
            log.error("commit_failed", ["error": .string("\(error)")])
            entries.abandonCommit()
            let problem = Self.frameProblem(error)
            for batch in batches {
                for index in batch.appends.indices { batch.appends[index].outcome = .failed(problem) }
            }
        }
        if !batches.isEmpty { committed(Handover(batches)) }
    }

    private static func frameProblem(_ error: any Error) -> FrameProblem {
        if let error = error as? SQLiteError, error.isFull {
            return FrameProblem(code: .storageFull, message: "the message log is full; nothing was stored")
        }
        return FrameProblem(code: .unavailable, message: "the message log failed; nothing was stored")
    }
}
