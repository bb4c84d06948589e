import Core

/// Writes the stored text of a `Chat` entry (see `StoredEntry`) into a batch.
enum ChatEntry {
    /// What the text is made of, beyond the frame.
    struct Parts {
        let conversationID: String
        let sender: String
        /// `nil` leaves `to_user_id` out: the log completes the text with whoever serves the customer then.
        let addressee: String?
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
        let acknowledged = EntryHead.write(
            "Chat",
            conversationID: parts.conversationID,
            messageID: &messageID,
            now: now,
            to: &bytes
        )
        bytes.append(#","from_user_id":""#)
        bytes.append(text: parts.sender)
        if let addressee = parts.addressee {
            bytes.append(#"","to_user_id":""#)
            bytes.append(text: addressee)
        }
        bytes.append(#"","content_type":""#)
        bytes.append(text: chat.contentType.rawValue)
        bytes.append(#"","content":""#)
        bytes.append(chat.content.bytes)
        bytes.append("\"")
        bytes.append(#","client_id":"#, quoted: chat.clientID)
        if let file = parts.file {
            bytes.append(#","file":"#)
            bytes.append(text: file)
        }
        bytes.append("}")
        return (start..<bytes.count, acknowledged)
    }
}
