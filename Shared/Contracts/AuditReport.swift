package import Core

/// `POST /internal/audit` (auth): what another service adds to the audit trail.
///
/// The answer is 204 once all are stored; an entry whose id is stored already is passed over, so a report may be sent
/// again.
///
/// ```json
/// {"entries":[{"id":"k3J9…","at":"2026-01-21T10:00:00.000Z","event":"conversation_read","actor_id":"support001",
///   "conversation_id":"c:user123","remote_address":"203.0.113.9","request_id":"7f…"}]}
/// ```
package struct AuditReport: Codable, Sendable, Equatable {
    /// At most `entriesMax`.
    package var entries: [Entry]

    /// The most entries in one report; more is 422.
    package static let entriesMax = 500

    /// What another service may report.
    package enum Event: String, Codable, Sendable {
        /// An agent has read a customer's conversation.
        case conversationRead = "conversation_read"
    }

    /// Something that somebody did.
    package struct Entry: Codable, Sendable, Equatable {
        /// Unique among all reports, 1…64 characters of a name.
        package var id: String
        package var at: Timestamp
        package var event: Event
        /// The user who did it.
        package var actorID: String
        package var conversationID: String
        package var remoteAddress: String
        package var requestID: String?

        package init(
            id: String,
            at: Timestamp,
            event: Event,
            actorID: String,
            conversationID: String,
            remoteAddress: String,
            requestID: String? = nil
        ) {
            self.id = id
            self.at = at
            self.event = event
            self.actorID = actorID
            self.conversationID = conversationID
            self.remoteAddress = remoteAddress
            self.requestID = requestID
        }

        private enum CodingKeys: String, CodingKey {
            case id, at, event
            case actorID = "actor_id"
            case conversationID = "conversation_id"
            case remoteAddress = "remote_address"
            case requestID = "request_id"
        }
    }

    package init(entries: [Entry]) { self.entries = entries }

    private enum CodingKeys: String, CodingKey { case entries }
}
