import Core

/// Writes the stored text of a message that was recalled (DESIGN R13).
enum RecalledEntry {
    /// What is left of a `Chat`: who wrote to whom and when.
    ///
    /// Its `client_id` stays as well, so that a repeat of it is still found.
    ///
    /// - Parameters:
    ///   - text: The message's stored text.
    ///   - sequence: The recall's.
    static func text(of text: [UInt8], recalledBy sequence: Int) -> [UInt8] {
        var bytes = ByteQueue()
        bytes.append(#""type":"Chat""#)
        text.withUnsafeBytes { stored in
            for name in Self.keptFirst { bytes.append(name, stored) }
            bytes.append(#","content_type":"Text","content":"""#)
            bytes.append("client_id", stored)
        }
        bytes.append(#","recalled":true,"recall_seq":"#)
        bytes.append(decimal: sequence)
        bytes.append("}")
        return Array(bytes.waiting)
    }

    private static let keptFirst: [StaticString] = [
        "id", "conversation_id", "timestamp", "from_user_id", "to_user_id",
    ]
}

extension ByteQueue {
    /// Adds a member as it stands in another text; nothing when it is not there.
    fileprivate mutating func append(_ name: StaticString, _ text: UnsafeRawBufferPointer) {
        var found: JSONSlice?
        StoredEntry.forEachMember(of: text) { if found == nil, $0.equals(name) { found = $1 } }
        guard let found else { return }
        append(",\"")
        append(name)
        append("\":")
        if found.kind == .string { append("\"") }
        append(found.bytes)
        if found.kind == .string { append("\"") }
    }
}
