import Core

/// A file that was granted for a message.
struct GrantedFile: Equatable, Sendable {
    let fileID: String
    /// Names the message among all that carry the file (`FileGrantRequest.source`).
    let source: String
}

extension GrantedFile {
    /// The source of a message's grant: the same for every repeat of it, and found again in its stored text.
    ///
    /// Without a `client_id` one source for all of the sender's messages there that carry the file: a grant comes
    /// before its message has an id.
    static func source(conversationID: String, sender: String, clientID: String?) -> String {
        "\(conversationID) \(sender) \(clientID ?? "")"
    }

    /// The file that a stored `Chat` carries; `nil` when it carries none.
    init?(storedText text: [UInt8]) {
        var found: (fileID: String?, conversationID: String?, sender: String?, clientID: String?)
        text.withUnsafeBytes { bytes in
            StoredEntry.forEachMember(of: bytes) { name, value in
                switch value.kind {
                case .string where name.equals("conversation_id"): found.conversationID = value.text
                case .string where name.equals("from_user_id"): found.sender = value.text
                case .string where name.equals("client_id"): found.clientID = value.text
                case .object where name.equals("file"): found.fileID = StoredEntry.field("file_id", ofObject: value)
                default: break
                }
            }
        }
        guard let fileID = found.fileID, let conversationID = found.conversationID, let sender = found.sender
        else { return nil }
        self.init(
            fileID: fileID,
            source: Self.source(conversationID: conversationID, sender: sender, clientID: found.clientID)
        )
    }
}
