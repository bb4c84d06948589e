import Contracts
import Core
import Foundation
import Testing

@testable import GatewayService

extension Decoded {
    /// A receipt.
    static func receipt(_ kind: Receipt.Kind, _ conversationID: String, _ sequence: Int) -> Decoded {
        .receipt(Receipt(kind: kind, conversationID: conversationID, sequence: sequence))
    }

    /// A recall.
    static func recall(_ conversationID: String, _ target: Int, _ clientID: String? = nil) -> Decoded {
        .recall(RecallFrame(conversationID: conversationID, targetSequence: target, clientID: clientID))
    }

    /// A Typing in a conversation, or to a user.
    static func typing(_ conversationID: String? = nil, to addressee: String? = nil, _ isTyping: Bool) -> Decoded {
        .typing(TypingFrame(conversationID: conversationID, addressee: addressee, isTyping: isTyping))
    }

    /// A Sync with these cursors.
    static func sync(_ cursors: KeyValuePairs<String, Int>) -> Decoded {
        .sync(cursors.map { SyncCursor(conversationID: $0.key, sequence: $0.value) })
    }

    /// A history request; limits are left out.
    static func history(
        with: String? = nil,
        _ conversationID: String? = nil,
        before: Int? = nil,
        after: Int? = nil,
        limit: Int? = nil
    ) -> Decoded {
        .history(HistoryFrame(with: with, conversationID: conversationID, before: before, after: after, limit: limit))
    }
}

@Suite("Frames from clients: every type")
struct ClientFrameTypesTests {
    /// A frame of each type and each form, and what it means.
    static let samples: [(text: String, frame: Decoded)] = [
        (
            #"{"type":"Chat","to_user_id":"a1","content":"hi","content_type":"File","client_id":"c","file_id":"f"}"#,
            .chat(content: "hi", contentType: .file, addressee: "a1", clientID: "c", fileID: "f")
        ),
        (#"{"type":"Heartbeat"}"#, .heartbeat),
        (#"{"type":"Delivered","conversation_id":"c:u1","seq":17}"#, .receipt(.delivered, "c:u1", 17)),
        (#"{"type":"Delivered","conversation_id":"d:a:b","seq":0}"#, .receipt(.delivered, "d:a:b", 0)),
        (#"{"type":"Read","conversation_id":"c:u1","seq":17}"#, .receipt(.read, "c:u1", 17)),
        (#"{"type":"Sync","cursors":{}}"#, .sync([:])),
        (#"{"type":"Sync","cursors":{"c:u1":3,"d:a:b":0}}"#, .sync(["c:u1": 3, "d:a:b": 0])),
        (#"{"type":"Typing","conversation_id":"c:u1","is_typing":true}"#, .typing("c:u1", true)),
        (#"{"type":"Typing","to_user_id":"a1","is_typing":false}"#, .typing(to: "a1", false)),
        (#"{"type":"Typing","to":"a1","is_typing":true}"#, .typing(to: "a1", true)),
        (#"{"type":"Recall","conversation_id":"c:u1","target_seq":1}"#, .recall("c:u1", 1)),
        (#"{"type":"Recall","conversation_id":"c:u1","target_seq":9,"client_id":"x"}"#, .recall("c:u1", 9, "x")),
        (#"{"type":"HistoryRequest","with":"a1"}"#, .history(with: "a1")),
        (#"{"type":"HistoryRequest","conversation_id":"c:u1"}"#, .history("c:u1")),
        (#"{"type":"HistoryRequest","with":"a1","before":1,"limit":200}"#, .history(with: "a1", before: 1, limit: 200)),
        (#"{"type":"HistoryRequest","with":"a1","after":0,"limit":1}"#, .history(with: "a1", after: 0, limit: 1)),
        (#"{"type":"OnlineUsers"}"#, .onlineUsers(nil)),
        (#"{"type":"GetOnlineUsers"}"#, .onlineUsers(nil)),
        (#"{"type":"OnlineUsers","user_type":"Kefu"}"#, .onlineUsers(.agent)),
        (#"{"type":"GetOnlineUsers","user_type":"customer"}"#, .onlineUsers(.customer)),
        (#"{"type":"Status","status":"Online"}"#, .status(.online)),
        (#"{"type":"Status","status":"Busy"}"#, .status(.busy)),
        (#"{"type":"Status","status":"Away"}"#, .status(.away)),
        (#"{"type":"Session","session_id":"k3J9_-~!"}"#, .session("k3J9_-~!")),
    ]

    @Test("is understood", arguments: samples)
    func understood(text: String, frame: Decoded) {
        #expect(decode(text).frame == frame)
    }

    @Test("in any case", arguments: samples)
    func anyCase(text: String, frame: Decoded) {
        let parts = text.split(separator: "\"", maxSplits: 4, omittingEmptySubsequences: false)
        for type in [parts[3].uppercased(), parts[3].lowercased()] {
            #expect(decode(parts[..<3].joined(separator: "\"") + "\"\(type)\"" + parts[4]).frame == frame)
        }
    }

    @Test("with any one character of a string escaped", arguments: samples)
    func everyEscape(text: String, frame: Decoded) {
        let bytes = Array(text.utf8)
        var isInString = false
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\"") {
                isInString.toggle()
                continue
            }
            guard isInString else { continue }
            let hex = String(byte, radix: 16)
            let escaped = bytes[..<index] + Array("\\u00\(hex)".utf8) + bytes[(index + 1)...]
            #expect(decode(Array(escaped)).frame == frame, "character \(index)")
        }
    }

    @Test("with unknown members and white space, and nulls for what may be left out", arguments: samples)
    func skipped(text: String, frame: Decoded) {
        let more = text.dropLast() + #" , "timestamp" : "2026-01-20T10:00:00Z", "x":{"type":[{"seq":null}]} } "#
        #expect(decode(String(more)).frame == frame)
        for name in ["client_id", "limit", "before", "after", "user_type", "file_id", "from_user_id"] {
            guard !text.contains("\"\(name)\"") else { continue }
            #expect(decode(text.dropLast() + #","\#(name)":null}"#).frame == frame, "\(name)")
        }
    }

    @Test(
        "a number is the same however it is written",
        arguments: [("17.0", 17), ("1.7e1", 17), ("170E-1", 17), ("-0", 0), ("0.0", 0), ("1e400", 1 << 32)]
    )
    func numbers(text: String, value: Int) {
        let frame = #"{"type":"Read","conversation_id":"c:u1","seq":\#(text)}"#
        #expect(decode(frame).frame == .receipt(.read, "c:u1", value))
    }

    @Test("a receipt past every sequence is one: past the head counts as the head")
    func farReceipt() {
        for seq in ["4294967296", "4294967297", "99999999999999999999", "1e300"] {
            let frame = #"{"type":"Delivered","conversation_id":"c:u1","seq":\#(seq)}"#
            #expect(decode(frame).frame == .receipt(.delivered, "c:u1", 1 << 32))
        }
    }

    @Test("what only the server sends is unknown from a client")
    func serverOnly() {
        for type in [
            "Welcome", "Ack", "Error", "Synced", "Gap", "History", "UserJoined", "UserLeft", "Queued", "AgentAssigned",
            "Transferred", "ConversationClosed", "NoAgentAvailable", "System",
        ] {
            #expect(decode(#"{"type":"\#(type)"}"#).frame == .refused(.unknownType, "type: \(type) is not known"))
        }
    }

    @Test(
        "refuses a bad field, naming it",
        arguments: [
            (#"{"type":"Delivered"}"#, "conversation_id"), (#"{"type":"Read","seq":1}"#, "conversation_id"),
            (#"{"type":"Delivered","conversation_id":1}"#, "conversation_id"),
            (#"{"type":"Read","conversation_id":"","seq":1}"#, "conversation_id"),
            (#"{"type":"Delivered","conversation_id":"c:u1"}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":"1"}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":-1}"#, "seq"),
            (#"{"type":"Read","conversation_id":"c:u1","seq":-1e300}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":1.5}"#, "seq"),
            (#"{"type":"Read","conversation_id":"c:u1","seq":null}"#, "seq"),
            (#"{"type":"Read","conversation_id":"c:u1","seq":[1]}"#, "seq"),
            (#"{"type":"Sync"}"#, "cursors"), (#"{"type":"Sync","cursors":null}"#, "cursors"),
            (#"{"type":"Sync","cursors":[]}"#, "cursors"), (#"{"type":"Sync","cursors":"{}"}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":"1"}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":null}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":1.5}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":{"seq":1}}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"":1}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":1,"c:u2":2,"c:u1":1}}"#, "cursors"),
            (#"{"type":"Sync","cursors":{"c:u1":1,"c:\u00751":1}}"#, "cursors"),
            (#"{"type":"Typing","is_typing":true}"#, "conversation_id, to_user_id"),
            (#"{"type":"Typing","to":null,"is_typing":true}"#, "conversation_id, to_user_id"),
            (#"{"type":"Typing","to":"a1","conversation_id":"c:u1","is_typing":true}"#, "conversation_id, to_user_id"),
            (#"{"type":"Typing","to":"a 1","is_typing":true}"#, "to_user_id"),
            (#"{"type":"Typing","to_user_id":7,"is_typing":true}"#, "to_user_id"),
            (#"{"type":"Typing","conversation_id":7,"is_typing":true}"#, "conversation_id"),
            (#"{"type":"Typing","to":"a1"}"#, "is_typing"),
            (#"{"type":"Typing","to":"a1","is_typing":1}"#, "is_typing"),
            (#"{"type":"Typing","to":"a1","is_typing":"true"}"#, "is_typing"),
            (#"{"type":"Typing","to":"a1","is_typing":null}"#, "is_typing"),
            (#"{"type":"Recall","target_seq":1}"#, "conversation_id"),
            (#"{"type":"Recall","conversation_id":"c:u1"}"#, "target_seq"),
            (#"{"type":"Recall","conversation_id":"c:u1","target_seq":0}"#, "target_seq"),
            (#"{"type":"Recall","conversation_id":"c:u1","target_seq":1.5}"#, "target_seq"),
            (#"{"type":"Recall","conversation_id":"c:u1","target_seq":"1"}"#, "target_seq"),
            (#"{"type":"Recall","conversation_id":"c:u1","target_seq":1,"client_id":""}"#, "client_id"),
            (#"{"type":"HistoryRequest"}"#, "with, conversation_id"),
            (#"{"type":"HistoryRequest","to_user_id":"a1"}"#, "with, conversation_id"),
            (#"{"type":"HistoryRequest","with":"a1","conversation_id":"c:u1"}"#, "with, conversation_id"),
            (#"{"type":"HistoryRequest","with":"c:a1"}"#, "with"), (#"{"type":"HistoryRequest","with":"u1"}"#, "with"),
            (#"{"type":"HistoryRequest","with":""}"#, "with"), (#"{"type":"HistoryRequest","with":1}"#, "with"),
            (#"{"type":"HistoryRequest","conversation_id":false}"#, "conversation_id"),
            (#"{"type":"HistoryRequest","with":"a1","before":1,"after":1}"#, "before, after"),
            (#"{"type":"HistoryRequest","with":"a1","before":0}"#, "before"),
            (#"{"type":"HistoryRequest","with":"a1","before":2147483648}"#, "before"),
            (#"{"type":"HistoryRequest","with":"a1","before":"9"}"#, "before"),
            (#"{"type":"HistoryRequest","with":"a1","after":-1}"#, "after"),
            (#"{"type":"HistoryRequest","with":"a1","after":1e99}"#, "after"),
            (#"{"type":"HistoryRequest","with":"a1","limit":0}"#, "limit"),
            (#"{"type":"HistoryRequest","with":"a1","limit":201}"#, "limit"),
            (#"{"type":"HistoryRequest","with":"a1","limit":1.5}"#, "limit"),
            (#"{"type":"HistoryRequest","with":"a1","limit":true}"#, "limit"),
            (#"{"type":"OnlineUsers","user_type":"Boss"}"#, "user_type"),
            (#"{"type":"OnlineUsers","user_type":""}"#, "user_type"),
            (#"{"type":"OnlineUsers","user_type":1}"#, "user_type"),
            (#"{"type":"Status"}"#, "status"), (#"{"type":"Status","status":"Offline"}"#, "status"),
            (#"{"type":"Status","status":"online"}"#, "status"), (#"{"type":"Status","status":""}"#, "status"),
            (#"{"type":"Session"}"#, "session_id"), (#"{"type":"Session","session_id":7}"#, "session_id"),
            (#"{"type":"Session","session_id":""}"#, "session_id"),
            (#"{"type":"Session","session_id":"a b"}"#, "session_id"),
            (#"{"type":"Session","session_id":"\u00e9"}"#, "session_id"),
            (#"{"type":"Session","session_id":"\#(String(repeating: "x", count: 257))"}"#, "session_id"),
            (#"{"type":"Status","status":true}"#, "status"), (#"{"type":"Status","status":["Online"]}"#, "status"),
        ]
    )
    func badField(text: String, field: String) {
        guard case .refused(let code, let message) = decode(text).frame else {
            Issue.record("was taken")
            return
        }
        #expect(ProblemCode.ofFields.contains(code))
        #expect(message.hasPrefix("\(field): "))
    }

    @Test("a member given twice leaves open which is meant", arguments: samples)
    func twice(text: String, frame: Decoded) throws {
        // The same value again: nothing but the repetition is wrong.
        var first = text.dropFirst().dropLast()[...]
        if let cursors = first.range(of: #","cursors""#) { first = first[..<cursors.lowerBound] }
        for member in first.split(separator: ",") {
            guard case .refused(.malformedJSON, let message) = decode(text.dropLast() + ",\(member)}").frame else {
                Issue.record("\(member) was taken twice")
                continue
            }
            #expect(message.hasSuffix("given twice"))
        }
    }

    @Test("cursors are kept as they are, also those that no entry has")
    func cursors() {
        let text = #"{"type":"Sync","cursors":{"c:u1":-3,"c:":7,"nothing":99999999999999999999,"é":-1e99,"x y":4.0}}"#
        let far = 1 << 32
        #expect(decode(text).frame == .sync(["c:u1": -3, "c:": 7, "nothing": far, "é": -far, "x y": 4]))
    }

    @Test("cursors have a limit")
    func cursorCount() {
        func sync(_ count: Int) -> Decoded {
            let members = (0..<count).map { #""c:u\#($0)":\#($0)"# }.joined(separator: ",")
            return decode(#"{"type":"Sync","cursors":{\#(members)}}"#).frame
        }
        guard case .sync(let cursors) = sync(ClientFrame.cursorsMax) else {
            Issue.record("10,000 were refused")
            return
        }
        #expect(cursors.count == 10_000)
        #expect(cursors.last == SyncCursor(conversationID: "c:u9999", sequence: 9999))
        #expect(sync(ClientFrame.cursorsMax + 1) == .refused(.tooManyCursors, "cursors: at most 10000 conversations"))
    }

    @Test("a conversation's name has at most 200 bytes, however they are written")
    func conversationLength() {
        for unit in ["x", "\\u0078", "\\u00e9", "é"] {
            let bytes = unit.hasSuffix("e9") || unit == "é" ? 2 : 1
            let longest = String(repeating: unit, count: 200 / bytes)
            let plain = String(repeating: bytes == 1 ? "x" : "é", count: 200 / bytes)
            let receipt = #"{"type":"Read","seq":1,"conversation_id":""#
            #expect(decode("\(receipt)\(longest)\"}").frame == .receipt(.read, plain, 1))
            #expect(decode("\(receipt)\(longest)\"}").echo == FrameEcho(conversationID: plain))
            let (refused, echo) = decode("\(receipt)\(longest)\(unit)\"}")
            #expect(refused == .refused(.idMalformed, "conversation_id: must be a string of 1 to 200 bytes"))
            #expect(echo == FrameEcho())
            #expect(decode(#"{"type":"Sync","cursors":{"\#(longest)":1}}"#).frame == .sync([plain: 1]))
            #expect(
                decode(#"{"type":"Sync","cursors":{"\#(longest)\#(unit)":1}}"#).frame
                    == .refused(.idMalformed, "cursors: a conversation has 1 to 200 bytes")
            )
        }
    }

    @Test(
        "conversation_id is known for the Error answer also when the frame is refused",
        arguments: [
            #"{"conversation_id":"c:u1","type":"Read"}"#, #"{"type":"Nothing","conversation_id":"c:u1"}"#,
            #"{"conversation_id":"c:\u00751"}"#, #"{"type":"Recall","conversation_id":"c:u1","target_seq":0}"#,
            #"{"type":"Chat","content":"","conversation_id":"c:u1"}"#,
            #"{"type":"Recall","conversation_id":"c:u1","target_seq":1,"client_id":7}"#,
        ]
    )
    func echo(text: String) {
        let (frame, echo) = decode(text)
        guard case .refused = frame else {
            Issue.record("was taken")
            return
        }
        #expect(echo == FrameEcho(conversationID: "c:u1"))
    }

    @Test("a Chat may carry members that only other types have")
    func strangers() {
        let text = """
            {"type":"Chat","content":"x","conversation_id":7,"seq":"x","cursors":1,"is_typing":2,"target_seq":-1,\
            "with":{},"before":0,"after":-1,"limit":1000,"user_type":[],"status":"Gone"}
            """
        let expected = Decoded.chat(content: "x", contentType: .text, addressee: nil, clientID: nil, fileID: nil)
        #expect(decode(text) == (expected, FrameEcho()))
    }
}
