import Core
import Dispatch
import Foundation
import Net
import Synchronization

/// The thread that owns `log.db`: appends whatever is queued in one transaction, then hands the batches back.
///
/// At least `intervalMilliseconds` lie between the starts of two commits, so that on a fast disk a commit still gathers
/// something (at 20,000/s: 22 µs a message without the interval, 4.6 with 1 ms); an idle log commits at once.
final class LogWriter: Sendable {
    /// Positions are stored with the next commit that is so much later, or alone.
    static let positionsInterval: Int64 = 200
    /// The most positions that wait to be stored; beyond it the oldest are stored at once.
    private static let positionsMax = 100_000

    private struct Queue {
        var batches: [AppendBatch] = []
        var positions: [LogCommitter.Position: Int] = [:]
        var isStopping = false
        /// The thread takes no more.
        var hasEnded = false
        /// Whether the thread waits to be woken.
        var isIdle = false
    }

    private let interval: Int64
    /// Handed over to the thread by `start`, and back by its end.
    private let handedOver: Handover<LogCommitter>
    private let queue = Mutex(Queue())
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(_ committer: LogCommitter, intervalMilliseconds: Int) {
        handedOver = Handover(committer)
        interval = Int64(intervalMilliseconds)
    }

    func start() {
        Thread.detachNewThread { [self] in
            var clock = CommitClock()
            while runOnce(handedOver.value, &clock) {}
            ended.signal()
        }
    }

    /// Queues a batch; from any thread.
    ///
    /// - Returns: `false` when the writer has stopped, and nothing is stored.
    func append(_ batch: Handover<AppendBatch>) -> Bool {
        let (isTaken, mustWake) = queue.withLock { queue in
            guard !queue.hasEnded else { return (false, false) }
            queue.batches.append(batch.value)
            defer { queue.isIdle = false }
            return (true, queue.isIdle)
        }
        if mustWake { wake.signal() }
        return isTaken
    }

    /// Queues a position; from any thread.
    func setDelivered(user: String, conversationID: String, sequence: Int) {
        let position = LogCommitter.Position(user: user, conversationID: conversationID)
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
    }

    /// Closes the log's connection; after `stop`, and when nobody reads any more.
    func close() { handedOver.value.close() }

    // MARK: - The thread

    private struct CommitClock {
        var lastCommit: Int64 = 0
        var lastPositions: Int64 = 0
    }

    /// Waits for work and commits it; false when the writer is to end.
    private func runOnce(_ committer: LogCommitter, _ clock: inout CommitClock) -> Bool {
        let isWorkThere = queue.withLock { queue in
            let isThere = !queue.batches.isEmpty || queue.isStopping
            queue.isIdle = !isThere
            return isThere
        }
        if !isWorkThere {
            _ = wake.wait(timeout: .now() + .milliseconds(Int(Self.positionsInterval)))
        }
        let pause = clock.lastCommit + interval - Monotonic.milliseconds()
        if isWorkThere, pause > 0 { usleep(UInt32(pause) * 1000) }
        let now = Monotonic.milliseconds()
        let arePositionsDue = now - clock.lastPositions >= Self.positionsInterval
        let (batches, positions, isStopping) = queue.withLock { queue in
            let batches = Handover(queue.batches)
            queue.batches = []
            queue.isIdle = false
            guard arePositionsDue || queue.isStopping else { return (batches, [LogCommitter.Position: Int](), false) }
            let positions = queue.positions
            queue.positions = [:]
            // Whatever is appended after this has to be refused: this is the last turn.
            queue.hasEnded = queue.isStopping && batches.value.isEmpty
            return (batches, positions, queue.isStopping)
        }
        if !batches.value.isEmpty || !positions.isEmpty {
            clock.lastCommit = now
            if !positions.isEmpty { clock.lastPositions = now }
            committer.commit(batches.value, positions)
        }
        return !isStopping || !batches.value.isEmpty
    }
}
