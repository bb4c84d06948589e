import Core
import Foundation
import Testing

@testable import GatewayService

@Suite("Message ids")
struct MessageIDTests {
    private func next(_ ids: inout MessageID, _ milliseconds: Int64) -> String {
        var queue = ByteQueue()
        ids.write(milliseconds: milliseconds, into: queue.reserve(MessageID.length))
        return queue.text
    }

    @Test("has 26 characters of Crockford's alphabet")
    func form() {
        var ids = MessageID()
        let id = next(&ids, Timestamp.now().milliseconds)
        #expect(id.utf8.count == 26)
        #expect(id.allSatisfy { "0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains($0) })
    }

    @Test("the first ten characters are the time, so ids sort by it")
    func sorted() {
        var ids = MessageID()
        #expect(next(&ids, 0).hasPrefix("0000000000"))
        #expect(next(&ids, 1).hasPrefix("0000000001"))
        #expect(next(&ids, 32).hasPrefix("0000000010"))
        #expect(next(&ids, (1 << 48) - 1).hasPrefix("7ZZZZZZZZZ"))
        var last = ""
        for time in stride(from: Int64(1_700_000_000_000), to: 1_700_000_100_000, by: 997) {
            let id = next(&ids, time)
            #expect(id > last)
            last = id
        }
    }

    @Test("100,000 within one millisecond are different, and those of another process too")
    func unique() {
        var ids = MessageID()
        var others = MessageID()
        var seen: Set<String> = []
        for _ in 0..<50_000 {
            seen.insert(next(&ids, 1_700_000_000_000))
            seen.insert(next(&others, 1_700_000_000_000))
        }
        #expect(seen.count == 100_000)
    }

    @Test("counts on over the end of its lower 64 bits")
    func carry() {
        var ids = MessageID(high: 0x00ff, low: .max - 1)
        #expect(next(&ids, 0).dropFirst(10) == base32(high: 0x00ff, low: .max))
        #expect(next(&ids, 0).dropFirst(10) == base32(high: 0x0100, low: 0))
        var last = MessageID(high: .max, low: .max)
        #expect(next(&last, 0).dropFirst(10) == "0000000000000000")
    }

    /// The 80 bits in base 32, by way of their binary text.
    private func base32(high: UInt16, low: UInt64) -> String {
        func padded(_ bits: String, _ length: Int) -> String {
            String(repeating: "0", count: length - bits.count) + bits
        }
        let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        var bits = padded(String(high, radix: 2), 16) + padded(String(low, radix: 2), 64)
        var result = ""
        while !bits.isEmpty {
            result.append(alphabet[Int(bits.prefix(5), radix: 2) ?? 0])
            bits.removeFirst(5)
        }
        return result
    }
}

@Suite("Stored text of a chat entry")
struct ChatEntryTests {
    private let now = Timestamp(milliseconds: 1_768_903_200_123)

    /// A chat's stored text, and the part of it that an `Ack` repeats.
    private func write(
        content: String,
        clientID: String? = nil,
        file: String? = nil,
        contentType: ContentType = .text,
        ids: inout MessageID
    ) -> (text: String, acknowledged: String) {
        let escaped = Array(JSONText.quoted(content).utf8.dropFirst().dropLast())
        return escaped.withUnsafeBytes { slice in
            var chat = ChatFrame(content: JSONSlice(kind: .string, bytes: slice, hasEscapes: escaped.contains(0x5c)))
            chat.contentType = contentType
            chat.clientID = clientID
            var bytes = ByteQueue()
            // Entries share a batch's buffer.
            bytes.append("before")
            let parts = ChatEntry.Parts(conversationID: "c:u1", sender: "u1", addressee: "a1", file: file)
            let (text, acknowledged) = ChatEntry.write(chat, parts, messageID: &ids, now: now, to: &bytes)
            bytes.append("after")
            let all = Array(bytes.waiting)
            return (
                String(decoding: all[text], as: UTF8.self), String(decoding: all[acknowledged], as: UTF8.self)
            )
        }
    }

    @Test(
        "with its head it is the frame that clients are sent",
        arguments: [
            "hello", nasty, #""timestamp":"2020-01-01T00:00:00.000Z""#, #"\"timestamp\":\""#,
            #"","id":"x","client_id":"y"#,
            #"{"type":"Chat","id":"fake","from_user_id":"mallory"}"#, "\\", "\"",
        ]
    )
    func roundTrip(content: String) throws {
        var ids = MessageID()
        let file = #"{"file_id":"f1","url":"/files/f1","file_name":"a\"b"}"#
        for clientID in [nil, "c1", content] {
            for file in [nil, file] {
                let (text, _) = write(content: content, clientID: clientID, file: file, contentType: .voice, ids: &ids)
                let frame = try object(#"{"seq":7,"# + text)
                #expect(frame["type"] as? String == "Chat")
                #expect(frame["seq"] as? Int == 7)
                #expect((frame["id"] as? String)?.count == 26)
                #expect(frame["conversation_id"] as? String == "c:u1")
                #expect(frame["timestamp"] as? String == "2026-01-20T10:00:00.123Z")
                #expect(frame["from_user_id"] as? String == "u1")
                #expect(frame["to_user_id"] as? String == "a1")
                #expect(frame["content_type"] as? String == "Voice")
                #expect(frame["content"] as? String == content)
                #expect(frame["client_id"] as? String == clientID)
                #expect((frame["file"] as? [String: String])?["file_name"] == (file == nil ? nil : "a\"b"))
                let stored = Array(text.utf8)
                #expect(StoredEntry.field("from_user_id", in: stored) == "u1")
                #expect(StoredEntry.field("content", in: stored) == content)
                #expect(StoredEntry.field("client_id", in: stored) == clientID)
                #expect(StoredEntry.field("nothing", in: stored) == nil)
                #expect(StoredEntry.field("file", in: stored) == nil)
            }
        }
    }

    @Test(
        "the part that an Ack repeats is found again in the stored text",
        arguments: ["hello", nasty, #""timestamp":"2020-01-01T00:00:00.000Z""#, #"","id":"fake","timestamp":"""#]
    )
    func acknowledged(content: String) throws {
        var ids = MessageID()
        let (text, acknowledged) = write(content: content, clientID: content, file: #"{"id":"f"}"#, ids: &ids)
        let stored = Array(text.utf8)
        let range = try #require(StoredEntry.acknowledged(in: stored))
        #expect(String(decoding: stored[range], as: UTF8.self) == acknowledged)
        var queue = ByteQueue()
        Array(acknowledged.utf8).withUnsafeBytes {
            ServerFrame.acknowledgement($0, sequence: 42, clientID: content, to: &queue)
        }
        let ack = try object(queue.text)
        #expect(ack["type"] as? String == "Ack")
        #expect(ack["seq"] as? Int == 42)
        #expect(ack["client_id"] as? String == content)
        #expect(ack["conversation_id"] as? String == "c:u1")
        #expect(ack["timestamp"] as? String == "2026-01-20T10:00:00.123Z")
        #expect(ack["id"] as? String == StoredEntry.field("id", in: stored))
        #expect(ack.count == 6)
    }

    @Test("is recognised by sender and client_id together")
    func isFrom() {
        var ids = MessageID()
        let stored = Array(write(content: #"","client_id":"c2"#, clientID: "c1", ids: &ids).text.utf8)
        #expect(StoredEntry.isFrom(stored, sender: "u1", clientID: "c1"))
        #expect(!StoredEntry.isFrom(stored, sender: "u2", clientID: "c1"))
        #expect(!StoredEntry.isFrom(stored, sender: "u1", clientID: "c2"))
        #expect(!StoredEntry.isFrom([], sender: "u1", clientID: "c1"))
        let anonymous = Array(write(content: "x", ids: &ids).text.utf8)
        #expect(!StoredEntry.isFrom(anonymous, sender: "u1", clientID: ""))
    }

    @Test("what has no such part has none", arguments: ["", "x", #""id":"1""#, #""id":"1","timestamp":"2020""#])
    func notAcknowledged(text: String) {
        #expect(StoredEntry.acknowledged(in: Array(text.utf8)) == nil)
    }
}
