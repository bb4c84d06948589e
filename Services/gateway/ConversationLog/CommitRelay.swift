import Net
import Synchronization

/// Hands committed batches to the gateway, which is made after the log.
final class CommitRelay: Sendable {
    private let audit: MessageAudit
    private let gateway = Mutex<Gateway?>(nil)

    init(audit: MessageAudit) { self.audit = audit }

    func connect(_ gateway: Gateway) { self.gateway.withLock { $0 = gateway } }

    /// On the log's thread.
    ///
    /// Delivery first: nobody waits for the log lines. Both only read the batches.
    func committed(_ batches: Handover<[AppendBatch]>) {
        gateway.withLock { $0 }?.committed(batches)
        audit.record(batches.value)
    }
}
