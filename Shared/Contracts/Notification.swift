/// `POST /internal/notify` (gateway): ephemeral frames for users on that gateway.
///
/// ```json
/// {"notices":[{"user_ids":["support001"],"frame":"{\"type\":\"Typing\",\"user_id\":\"user123\",\"is_typing\":true}"}]}
/// ```
package struct Notifications: Codable, Sendable, Equatable {
    /// At most `noticesMax`.
    package var notices: [Notification]

    /// The most frames in one request; more is 422.
    package static let noticesMax = 1000

    package init(notices: [Notification]) {
        self.notices = notices
    }

    private enum CodingKeys: String, CodingKey {
        case notices
    }
}

/// One frame: nobody stores it, so one that is lost stays lost.
///
/// ```json
/// {"user_ids":["support001"],"frame":"{\"type\":\"Typing\",\"user_id\":\"user123\",\"is_typing\":true}"}
/// ```
package struct Notification: Codable, Sendable, Equatable {
    package var userIDs: [String]
    /// The frame's JSON text, sent as it is.
    package var frame: String

    /// The longest frame, in bytes; a longer one is 422.
    package static let frameBytesMax = 4096

    package init(userIDs: [String], frame: String) {
        self.userIDs = userIDs
        self.frame = frame
    }

    private enum CodingKeys: String, CodingKey {
        case userIDs = "user_ids"
        case frame
    }
}
