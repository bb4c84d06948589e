/// `POST /internal/notify` (gateway): an ephemeral frame for users on that gateway.
///
/// ```json
/// {"user_ids":["support001"],"frame":"{\"type\":\"Typing\",\"user_id\":\"user123\",\"is_typing\":true}"}
/// ```
package struct Notification: Codable, Sendable, Equatable {
    package var userIDs: [String]
    /// The frame's JSON text, sent as it is.
    package var frame: String

    package init(userIDs: [String], frame: String) {
        self.userIDs = userIDs
        self.frame = frame
    }

    private enum CodingKeys: String, CodingKey {
        case userIDs = "user_ids"
        case frame
    }
}
