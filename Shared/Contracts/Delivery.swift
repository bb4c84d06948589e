/// `POST /internal/deliver` (gateway): these conversations have grown; read what is new.
///
/// ```json
/// {"entries":[{"conversation_id":"c:user123","head":42,"user_ids":["user123"]}]}
/// {"entries":[],"read_all":true}
/// ```
package struct DeliveryHints: Codable, Sendable, Equatable {
    /// At most `entriesMax`.
    package var entries: [DeliveryHint]
    /// More was pending than the sender keeps: read the heads of everybody who is connected there.
    package var readAll: Bool?

    /// The most hints in one request; more is 422.
    package static let entriesMax = 1000

    package init(entries: [DeliveryHint], readAll: Bool? = nil) {
        self.entries = entries
        self.readAll = readAll
    }

    private enum CodingKeys: String, CodingKey {
        case entries
        case readAll = "read_all"
    }
}

/// One hint: the receiving gateway reads the log itself, so a lost or repeated hint does no harm.
///
/// ```json
/// {"conversation_id":"c:user123","head":42,"user_ids":["user123"]}
/// ```
package struct DeliveryHint: Codable, Sendable, Equatable {
    package var conversationID: String
    /// How far these members are to be sent the conversation.
    ///
    /// Members whose part of it ends elsewhere are named by another hint of the same conversation.
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
