import Contracts
import Core
import Crypto
import HTTP
import ServiceKit
import Synchronization

/// Tells auth of agents' reads of customers' conversations, for its audit trail (DESIGN §4, Isolation).
///
/// A report is sent until auth has stored it; each entry has an id, by which a repeat is known. Nothing waits for it:
/// what auth does not take in time is dropped, oldest first, and counted, and every read is a log line all the same.
final class AuditLink: Sendable {
    /// How often a flush looks whether everything is told.
    private static let flushInterval = Duration.milliseconds(10)

    private let auth: InternalClient
    private let log: Log
    private let metrics: GatewayMetrics
    private let queue = Mutex(AuditQueue())
    private let wakeUps: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init(auth: InternalClient, log: Log, metrics: GatewayMetrics) {
        self.auth = auth
        self.log = log
        self.metrics = metrics
        (wakeUps, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// A user is about to be sent a page of a conversation; noted when an agent reads a customer's.
    func read(
        _ conversationID: String,
        by identity: Identity,
        from remoteAddress: String,
        requestID: String? = nil,
        at time: Timestamp = .now()
    ) {
        guard identity.userType == .agent, ConversationName.customer(of: conversationID) != nil else { return }
        log.info(
            "conversation_read",
            [
                "user_id": .string(identity.userID), "conversation_id": .string(conversationID),
                "remote_address": .string(remoteAddress), "request_id": .string(requestID ?? ""),
            ]
        )
        let entry = AuditReport.Entry(
            id: SecureRandom.token(),
            at: time,
            event: .conversationRead,
            actorID: identity.userID,
            conversationID: conversationID,
            remoteAddress: remoteAddress,
            requestID: requestID
        )
        let dropped = queue.withLock { $0.add(entry) }
        if dropped > 0 { metrics.auditDropped(dropped) }
        waker.yield()
    }

    /// Reports until cancelled.
    @concurrent
    func run() async {
        var backoff = Backoff()
        for await _ in wakeUps {
            while let batch = queue.withLock({ $0.next() }) {
                do throws(InternalCallError) {
                    let report = AuditReport(entries: batch.entries)
                    _ = try await auth.call(.post, "/internal/audit", report, as: InternalClient.NoAnswer.self)
                    _ = backoff.succeeded()
                    _ = queue.withLock { $0.end(batch) }
                } catch {
                    guard error.refusedStatus == 422 else {
                        try? await Task.sleep(for: backoff.failed())
                        if Task.isCancelled { return }
                        continue
                    }
                    // It would be refused for ever, and hold up all that follows.
                    let count = queue.withLock { $0.end(batch) }
                    metrics.auditDropped(count)
                    log.error("audit_refused", ["entries": .int(count), "error": .string("\(error)")])
                }
            }
        }
    }

    /// Returns when auth has taken everything, or after `patience`.
    func flush(within patience: Duration) async {
        let end = ContinuousClock.now + patience
        while waitingCount > 0, ContinuousClock.now < end { try? await Task.sleep(for: Self.flushInterval) }
        let lost = waitingCount
        if lost > 0 { log.warning("audit_not_reported", ["entries": .int(lost)]) }
    }

    private var waitingCount: Int { queue.withLock { $0.count } }
}
