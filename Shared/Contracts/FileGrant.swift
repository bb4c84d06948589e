package import Core

/// `POST /internal/files/{id}/grants` (files): a message that carries the file goes to them.
///
/// Asked before the message is appended, so that a delivered message never names a file that answers 404.
/// The answer is a `FileDocument`.
///
/// ```json
/// {"sender":"user123","sender_type":"Kehu","user_ids":["support001"]}
/// ```
package struct FileGrantRequest: Codable, Sendable, Equatable {
    /// Must be allowed to read the file, else 404.
    package var sender: String
    /// An agent may send any file; left out, the sender counts as a customer.
    package var senderType: UserType?
    package var userIDs: [String]

    package init(sender: String, senderType: UserType? = nil, userIDs: [String]) {
        self.sender = sender
        self.senderType = senderType
        self.userIDs = userIDs
    }

    private enum CodingKeys: String, CodingKey {
        case sender
        case senderType = "sender_type"
        case userIDs = "user_ids"
    }
}
