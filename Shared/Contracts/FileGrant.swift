package import Core

/// `POST /internal/files/{id}/grants` (files): a message that carries the file goes to them.
///
/// Asked before the message is appended, so that a delivered message never names a file that answers 404.
/// The answer is a `FileDocument`.
///
/// ```json
/// {"sender":"user123","sender_type":"Kehu","user_ids":["support001"],"source":"c:user123 user123 m-17"}
/// ```
package struct FileGrantRequest: Codable, Sendable, Equatable {
    /// Must be allowed to read the file, else 404.
    package var sender: String
    /// An agent may send any file; left out, the sender counts as a customer.
    package var senderType: UserType?
    package var userIDs: [String]
    /// The message that carries the file: what is granted for one message is revoked with it, and with no other.
    ///
    /// Made of the conversation, the sender and the `client_id`, so that a repeat of the message is the same source;
    /// at most 400 bytes. Left out: granted for good.
    package var source: String?

    package init(sender: String, senderType: UserType? = nil, userIDs: [String], source: String? = nil) {
        self.sender = sender
        self.senderType = senderType
        self.userIDs = userIDs
        self.source = source
    }

    private enum CodingKeys: String, CodingKey {
        case sender
        case senderType = "sender_type"
        case userIDs = "user_ids"
        case source
    }
}

/// `POST /internal/files/{id}/grants/revoke` (files): the message that carried the file was recalled.
///
/// Saying so again changes nothing, nor does a file that is gone. The answer is an empty 204.
///
/// ```json
/// {"source":"c:user123 user123 m-17"}
/// ```
package struct FileGrantRevocation: Codable, Sendable, Equatable {
    /// As in the `FileGrantRequest`s that are taken back.
    package var source: String

    package init(source: String) {
        self.source = source
    }

    private enum CodingKeys: String, CodingKey {
        case source
    }
}
