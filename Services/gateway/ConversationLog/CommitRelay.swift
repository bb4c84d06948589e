import Net
import Synchronization

/// Hands what the log has committed to the gateway and to its routing, which are made after the log.
final class CommitRelay: Sendable {
    private struct Takers {
        var gateway: Gateway?
        var outbox: OutboxLink?
    }

    private let audit: MessageAudit
    private let takers = Mutex(Takers())

    init(audit: MessageAudit) { self.audit = audit }

    func connect(_ gateway: Gateway, _ outbox: OutboxLink) {
        takers.withLock { $0 = Takers(gateway: gateway, outbox: outbox) }
    }

    /// On the log's thread.
    ///
    /// Delivery first: nobody waits for the log lines. All only read the batches.
    func committed(_ batches: Handover<[AppendBatch]>) {
        let takers = takers.withLock { $0 }
        takers.gateway?.committed(batches)
        for batch in batches.value {
            if !batch.due.isEmpty { takers.outbox?.enqueue(batch.due) }
            if !batch.decisions.isEmpty { takers.outbox?.committed(batch) }
        }
        audit.record(batches.value)
    }

    /// On the log's thread.
    func moved(_ moves: [PositionMove]) { takers.withLock { $0 }.gateway?.moved(moves) }
}
