import Core

/// Writes a page of entries as `GET /api/messages` and `History` give it: the entries are the stored texts themselves.
enum EntryPageText {
    /// Appends `"conversation_id":…,"messages":[…],"has_more":…,"head":…}`, an object without its head.
    static func write(_ conversationID: String, _ range: EntryRange, _ page: EntryPage, to bytes: inout ByteQueue) {
        let hasMore: Bool
        switch range {
        case .after: hasMore = (page.entries.last?.sequence ?? page.head) < page.head
        case .before: hasMore = (page.entries.first?.sequence ?? 1) > 1
        }
        bytes.append(#""conversation_id":""#)
        bytes.append(text: conversationID)
        bytes.append(#"","messages":["#)
        page.bytes.withUnsafeBytes { texts in
            for (index, entry) in page.entries.enumerated() {
                if index > 0 { bytes.append(",") }
                bytes.append(#"{"seq":"#)
                bytes.append(decimal: entry.sequence)
                bytes.append(",")
                bytes.append(UnsafeRawBufferPointer(rebasing: texts[entry.text]))
            }
        }
        bytes.append(#"],"has_more":"#)
        bytes.append(text: hasMore ? "true" : "false")
        bytes.append(#","head":"#)
        bytes.append(decimal: page.head)
        bytes.append("}")
    }
}
