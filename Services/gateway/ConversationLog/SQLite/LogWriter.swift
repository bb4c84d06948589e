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
    /// Receipts and settled items are stored with the next commit that is so much later, or alone; milliseconds.
    static let gatheringInterval: Int64 = 200
    /// Receipts that are stored at once when so many wait.
    private static let receiptsDueMax = 50_000
    /// The most members whose receipts wait; another's is dropped, and entries may be sent to them again.
    static let receiptsMax = 200_000

    private struct Queue {
        var work = CommitWork()
        var isStopping = false
        /// The thread takes no more.
        var hasEnded = false
        /// Whether the thread waits to be woken.
        var isIdle = false

        var areReceiptsDue: Bool { work.receipts.count >= LogWriter.receiptsDueMax }
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
            queue.work.batches.append(batch.value)
            defer { queue.isIdle = false }
            return (true, queue.isIdle)
        }
        if mustWake { wake.signal() }
        return isTaken
    }

    /// Queues a receipt; from any thread.
    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?) {
        let membership = Membership(user: user, conversationID: receipt.conversationID)
        let mustWake = queue.withLock { queue in
            queue.work.gather(receipt, of: membership, from: origin, countMax: Self.receiptsMax)
            guard queue.areReceiptsDue else { return false }
            defer { queue.isIdle = false }
            return queue.isIdle
        }
        if mustWake { wake.signal() }
    }

    /// Queues an outbox item to be taken out; from any thread.
    func settle(_ number: Int64) { queue.withLock { _ = $0.work.settled.insert(number) } }

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
        var lastGathering: Int64 = 0
    }

    /// Waits for work and commits it; false when the writer is to end.
    private func runOnce(_ committer: LogCommitter, _ clock: inout CommitClock) -> Bool {
        let (isWorkThere, isGathering) = queue.withLock { queue in
            let isThere = !queue.work.batches.isEmpty || queue.areReceiptsDue || queue.isStopping
            queue.isIdle = !isThere
            return (isThere, !queue.work.isEmpty)
        }
        if !isWorkThere {
            let rest = clock.lastGathering + Self.gatheringInterval - Monotonic.milliseconds()
            let patience = isGathering ? max(rest, 0) : Self.gatheringInterval
            _ = wake.wait(timeout: .now() + .milliseconds(Int(patience)))
        }
        let pause = clock.lastCommit + interval - Monotonic.milliseconds()
        if isWorkThere, pause > 0 { usleep(UInt32(pause) * 1000) }
        let now = Monotonic.milliseconds()
        let isGatheringOver = now - clock.lastGathering >= Self.gatheringInterval
        let (work, isStopping) = queue.withLock { queue in
            queue.isIdle = false
            let takesAll = isGatheringOver || queue.areReceiptsDue || queue.isStopping
            var work = CommitWork()
            swap(&work.batches, &queue.work.batches)
            if takesAll {
                swap(&work.receipts, &queue.work.receipts)
                swap(&work.settled, &queue.work.settled)
            }
            // Whatever is appended after this has to be refused: this is the last turn.
            queue.hasEnded = queue.isStopping && work.batches.isEmpty
            return (Handover(work), queue.isStopping)
        }
        if !work.value.isEmpty {
            clock.lastCommit = now
            if !work.value.receipts.isEmpty || !work.value.settled.isEmpty { clock.lastGathering = now }
            committer.commit(work.value)
        }
        return !isStopping || !work.value.batches.isEmpty
    }
}
