import Core

/// The stored text of an entry: a JSON object without its head `{"seq":N,`, which is put before it when it is sent.
///
/// Built once and never encoded again, so that what a client is sent live, after a reconnect and in history is the
/// same text. It begins with `"type"`, then what an `Ack` repeats (`id`, `conversation_id`, `timestamp`) in one run.
enum StoredEntry {
    /// Gives the members to `body`, as far as the text is well-formed.
    static func forEachMember(
        of text: UnsafeRawBufferPointer,
        _ body: (_ name: JSONSlice, _ value: JSONSlice) -> Void
    ) {
        // Without its brace the text begins where the scanner is once it has taken one.
        var scanner = JSONScanner(text)
        while let (name, value) = try? scanner.nextMember() { body(name, value) }
    }

    /// A text field's value; `nil` when the entry has none.
    static func field(_ name: StaticString, in text: [UInt8]) -> String? {
        text.withUnsafeBytes { bytes in
            var found: String?
            forEachMember(of: bytes) { if found == nil, $0.equals(name), $1.kind == .string { found = $1.text } }
            return found
        }
    }

    /// A text field of a member that is an object itself.
    static func field(_ name: StaticString, ofObject object: JSONSlice) -> String? {
        var scanner = JSONScanner(object.bytes)
        guard (try? scanner.beginObject()) != nil else { return nil }
        while let (key, value) = try? scanner.nextMember() {
            if key.equals(name), value.kind == .string { return value.text }
        }
        return nil
    }

    /// Whether this is the entry that `sender` made with `clientID`.
    static func isFrom(_ text: [UInt8], sender: String, clientID: String) -> Bool {
        field("from_user_id", in: text) == sender && field("client_id", in: text) == clientID
    }

    static func isChat(_ text: [UInt8]) -> Bool { text.withUnsafeBytes { Glance($0).isChat } }

    static func isRecalled(_ text: [UInt8]) -> Bool { text.withUnsafeBytes { Glance($0).recallSequence != nil } }

    /// The members that an `Ack` repeats, as they stand in the text: from behind `"type":"…",` to the last of them.
    static func acknowledged(in text: [UInt8]) -> Range<Int>? {
        let id = Array(#""id":""#.utf8)
        let timestamp = Array(#""timestamp":""#.utf8)
        guard let start = text.firstIndex(of: id), let last = text.firstIndex(of: timestamp) else { return nil }
        let end = last + timestamp.count + Timestamp.wireLength + 1
        return end <= text.count ? start..<end : nil
    }

    /// What lists and rules ask of an entry, read in one pass and without a copy; as short-lived as the text.
    struct Glance {
        private(set) var isChat = false
        private var sender: JSONSlice?
        private var time: JSONSlice?
        private var recall: JSONSlice?

        init(_ text: UnsafeRawBufferPointer) {
            var found = (isChat: false, sender: JSONSlice?.none, time: JSONSlice?.none, recall: JSONSlice?.none)
            StoredEntry.forEachMember(of: text) { name, value in
                switch name.bytes.count {
                case 4 where name.equals("type"): found.isChat = value.equals("Chat")
                case 9 where name.equals("timestamp"): found.time = value
                case 10 where name.equals("recall_seq"): found.recall = value
                case 12 where name.equals("from_user_id"): found.sender = value
                default: break
                }
            }
            (isChat, sender, time, recall) = found
        }

        /// Whether `user` made it.
        func isFrom(_ user: String) -> Bool {
            guard let sender else { return false }
            var user = user
            return user.withUTF8 { sender.bytes.elementsEqual($0) }
        }

        /// When it was made.
        var timestamp: Timestamp? { time.flatMap { Timestamp(wire: $0.text) } }

        /// Of a recalled message: the sequence of its recall.
        var recallSequence: Int? { recall.flatMap { Int($0.text) } }
    }
}

extension [UInt8] {
    fileprivate func firstIndex(of pattern: [UInt8]) -> Int? {
        guard count >= pattern.count else { return nil }
        return (0...count - pattern.count).first { self[$0..<$0 + pattern.count].elementsEqual(pattern) }
    }
}
