/// `POST /internal/deliver` (gateway): these conversations have grown; read what is new.
///
/// ```json
/// {"entries":[{"conversation_id":"c:user123","head":42,"user_ids":["user123"]}]}
/// ```
package struct DeliveryHints: Codable, Sendable, Equatable {
    /// At most `entriesMax`.
    package var entries: [DeliveryHint]

    /// The most hints in one request; more is 422.
    package static let entriesMax = 1000

    package init(entries: [DeliveryHint]) {
        self.entries = entries
    }

    private enum CodingKeys: String, CodingKey {
        case entries
    }
}

/// One hint: the receiving gateway reads the log itself, so a lost or repeated hint does no harm.
///
/// ```json
/// {"conversation_id":"c:user123","head":42,"user_ids":["user123"]}
/// ```
package struct DeliveryHint: Codable, Sendable, Equatable {
    package var conversationID: String
    /// The newest sequence known.
    package var head: Int
    /// The members that are thought to be there.
    package var userIDs: [String]

    package init(conversationID: String, head: Int, userIDs: [String]) {
        self.conversationID = conversationID
        self.head = head
        self.userIDs = userIDs
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case head
        case userIDs = "user_ids"
    }
}
