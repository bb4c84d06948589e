import Core

/// The log's side of the audit trail: each stored entry is a line too.
///
/// What belongs to a change is stored by the change's own transaction, and then logged here; what stands alone is
/// stored and logged by `record`.
struct AuditTrail: Sendable {
    private let store: any AuthStore
    private let log: Log

    init(store: any AuthStore, log: Log) {
        self.store = store
        self.log = log
    }

    /// Stores an entry that belongs to no other change, and logs it.
    func record(_ entry: AuditEntry) async throws {
        try await store.append([entry])
        logged(entry)
    }

    /// Logs an entry that is stored.
    func logged(_ entry: AuditEntry) {
        log.info(
            entry.event.logName,
            [
                "actor_id": .optional(entry.actor.userID),
                "user_id": .optional(entry.userID),
                "conversation_id": .optional(entry.conversationID),
                "details": .optional(
                    entry.details.isEmpty
                        ? nil : entry.details.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: " ")
                ),
                "remote_address": .optional(entry.actor.remoteAddress),
                "request_id": .optional(entry.actor.requestID),
            ]
        )
    }
}
