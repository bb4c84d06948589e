/// `POST /internal/files/{id}/grants` (files): a message that carries the file goes to them.
///
/// Asked before the message is appended, so that a delivered message never names a file that answers 404.
/// The answer is a `FileDocument`.
///
/// ```json
/// {"sender":"user123","user_ids":["support001"]}
/// ```
package struct FileGrantRequest: Codable, Sendable, Equatable {
    /// Must be allowed to read the file, else 404.
    package var sender: String
    package var userIDs: [String]

    package init(sender: String, userIDs: [String]) {
        self.sender = sender
        self.userIDs = userIDs
    }

    private enum CodingKeys: String, CodingKey {
        case sender
        case userIDs = "user_ids"
    }
}
