import Core

/// What the stored text of every entry begins with (see `StoredEntry`).
enum EntryHead {
    /// Appends `"type":"…","id":"…","conversation_id":"…","timestamp":"…"`.
    ///
    /// - Parameter conversationID: A conversation's name, which needs no escaping.
    /// - Returns: The part that an `Ack` repeats: all but the type.
    static func write(
        _ type: StaticString,
        conversationID: String,
        messageID: inout MessageID,
        now: Timestamp,
        to bytes: inout ByteQueue
    ) -> Range<Int> {
        bytes.append(#""type":""#)
        bytes.append(type)
        bytes.append(#"","#)
        let start = bytes.count
        bytes.append(#""id":""#)
        messageID.write(milliseconds: now.milliseconds, into: bytes.reserve(MessageID.length))
        bytes.append(#"","conversation_id":""#)
        bytes.append(text: conversationID)
        bytes.append(#"","timestamp":""#)
        now.write(into: bytes.reserve(Timestamp.wireLength).assumingMemoryBound(to: UInt8.self))
        bytes.append("\"")
        return start..<bytes.count
    }
}
