import Core

/// Writes the stored text of a `Recall` entry (see `StoredEntry`) into a batch.
enum RecallEntry {
    /// Appends the text to the batch's bytes.
    ///
    /// - Parameters:
    ///   - recall: Names a conversation that there may be (`ConversationName`).
    ///   - sender: Who takes their message back.
    /// - Returns: Where the text lies, and which part of it an `Ack` repeats.
    static func write(
        _ recall: RecallFrame,
        sender: String,
        messageID: inout MessageID,
        now: Timestamp,
        to bytes: inout ByteQueue
    ) -> (text: Range<Int>, acknowledged: Range<Int>) {
        let start = bytes.count
        let acknowledged = EntryHead.write(
            "Recall",
            conversationID: recall.conversationID,
            messageID: &messageID,
            now: now,
            to: &bytes
        )
        bytes.append(#","from_user_id":""#)
        bytes.append(text: sender)
        bytes.append(#"","target_seq":"#)
        bytes.append(decimal: recall.targetSequence)
        bytes.append(#","client_id":"#, quoted: recall.clientID)
        bytes.append("}")
        return (start..<bytes.count, acknowledged)
    }
}
