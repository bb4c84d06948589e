import Core

/// The stored text of an entry: a JSON object without its head `{"seq":N,`, which is put before it when it is sent.
///
/// Built once and never encoded again, so that what a client is sent live, after a reconnect and in history is the
/// same text. It begins with `"type"`, then what an `Ack` repeats (`id`, `conversation_id`, `timestamp`) in one run.
enum StoredEntry {
    /// A text field's value; `nil` when the entry has none.
    static func field(_ name: StaticString, in text: [UInt8]) -> String? {
        // The scanner wants the whole object back.
        var object = [UInt8(ascii: "{")]
        object.append(contentsOf: text)
        return object.withUnsafeBytes { bytes in
            var scanner = JSONScanner(bytes)
            guard (try? scanner.beginObject()) != nil else { return nil }
            while let (key, value) = try? scanner.nextMember() {
                if key.equals(name), value.kind == .string { return value.text }
            }
            return nil
        }
    }

    /// Whether this is the entry that `sender` made with `clientID`.
    static func isFrom(_ text: [UInt8], sender: String, clientID: String) -> Bool {
        field("from_user_id", in: text) == sender && field("client_id", in: text) == clientID
    }

    /// The members that an `Ack` repeats, as they stand in the text: from behind `"type":"…",` to the last of them.
    static func acknowledged(in text: [UInt8]) -> Range<Int>? {
        let id = Array(#""id":""#.utf8)
        let timestamp = Array(#""timestamp":""#.utf8)
        guard let start = text.firstIndex(of: id), let last = text.firstIndex(of: timestamp) else { return nil }
        let end = last + timestamp.count + Timestamp.wireLength + 1
        return end <= text.count ? start..<end : nil
    }
}

extension [UInt8] {
    fileprivate func firstIndex(of pattern: [UInt8]) -> Int? {
        guard count >= pattern.count else { return nil }
        return (0...count - pattern.count).first { self[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }
}
