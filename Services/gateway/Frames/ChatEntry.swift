import Core

/// Writes the stored text of a `Chat` entry (see `StoredEntry`) into a batch.
enum ChatEntry {
    /// What the text is made of, beyond the frame.
    struct Parts {
        let conversationID: String
        let sender: String
        let addressee: String
        /// The `file` member's JSON, `nil` without a file.
        let file: String?
    }

    /// Appends the text to the batch's bytes.
    ///
    /// - Returns: Where the text lies, and which part of it an `Ack` repeats.
    static func write(
        _ chat: ChatFrame,
        _ parts: Parts,
        messageID: inout MessageID,
        now: Timestamp,
        to bytes: inout ByteQueue
    ) -> (text: Range<Int>, acknowledged: Range<Int>) {
        let start = bytes.count
        bytes.append(#""type":"Chat","#)
        let acknowledgedStart = bytes.count
        bytes.append(#""id":""#)
        messageID.write(milliseconds: now.milliseconds, into: bytes.reserve(MessageID.length))
        bytes.append(#"","conversation_id":""#)
        bytes.append(text: parts.conversationID)
        bytes.append(#"","timestamp":""#)
        now.write(into: bytes.reserve(Timestamp.wireLength).assumingMemoryBound(to: UInt8.self))
        bytes.append("\"")
        let acknowledgedEnd = bytes.count
        bytes.append(#","from_user_id":""#)
        bytes.append(text: parts.sender)
        bytes.append(#"","to_user_id":""#)
        bytes.append(text: parts.addressee)
        bytes.append(#"","content_type":""#)
        bytes.append(text: chat.contentType.rawValue)
        bytes.append(#"","content":""#)
        bytes.append(chat.content.bytes)
        bytes.append("\"")
        if let clientID = chat.clientID {
            bytes.append(#","client_id":"#)
            bytes.append(text: JSONText.quoted(clientID))
        }
        if let file = parts.file {
            bytes.append(#","file":"#)
            bytes.append(text: file)
        }
        bytes.append("}")
        return (start..<bytes.count, acknowledgedStart..<acknowledgedEnd)
    }
}
