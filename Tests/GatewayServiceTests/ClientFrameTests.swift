import Core
import Testing

@testable import GatewayService

@Suite("Frames from clients")
struct ClientFrameTests {
    private func chat(
        _ content: String,
        _ type: ContentType = .text,
        to: String? = nil,
        clientID: String? = nil,
        file: String? = nil
    ) -> Decoded {
        .chat(content: content, contentType: type, addressee: to, clientID: clientID, fileID: file)
    }

    @Test("reads a chat with every field")
    func everyField() {
        let text = """
            {"type":"Chat","from_user_id":"u1","to_user_id":"u2","content":"hi \\u4f60\\n","content_type":"Image",\
            "client_id":"c-1","file_id":"f.1","timestamp":"2026-01-20T10:00:00Z","unknown":{"type":"Heartbeat"}}
            """
        let expected = chat("hi 你\n", .image, to: "u2", clientID: "c-1", file: "f.1")
        #expect(decode(text) == (expected, FrameEcho(clientID: "c-1")))
    }

    @Test("understands the older names from and to")
    func olderNames() {
        #expect(decode(#"{"type":"Chat","from":"u1","to":"u2","content":"x"}"#).frame == chat("x", to: "u2"))
    }

    @Test("a type's case does not matter", arguments: ["Chat", "chat", "CHAT", "cHaT"])
    func typeCase(type: String) {
        #expect(decode(#"{"type":"\#(type)","content":"x"}"#).frame == chat("x"))
    }

    @Test("members come in any order, and white space between them")
    func order() {
        #expect(
            decode(" {\n\"content\" : \"x\" ,\t\"to_user_id\":\"a\", \"type\":\"Chat\" } ").frame == chat("x", to: "a")
        )
    }

    @Test("a null is the same as nothing")
    func nulls() {
        let text = """
            {"type":"Chat","content":"x","from_user_id":null,"to_user_id":null,"content_type":null,"client_id":null,\
            "file_id":null}
            """
        #expect(decode(text) == (chat("x"), FrameEcho()))
    }

    @Test(
        "reads content types in any case",
        arguments: ContentType.allCases.flatMap {
            [($0.rawValue, $0), ($0.rawValue.uppercased(), $0), ($0.rawValue.lowercased(), $0)]
        }
    )
    func contentTypes(wire: String, type: ContentType) {
        #expect(decode(#"{"type":"Chat","content":"x","content_type":"\#(wire)"}"#).frame == chat("x", type))
    }

    @Test("names and values may be escaped like any JSON string")
    func escapedNames() {
        let text = #"{"\u0074ype":"\u0043hat","c\u006fntent":"x","content_type":"\u0054ext","to_user_id":"\u0075 2"}"#
            .replacingOccurrences(" ", with: "")
        #expect(decode(text).frame == chat("x", to: "u2"))
        #expect(decode(#"{"type":"\u0048eartbeat"}"#).frame == .heartbeat)
        #expect(
            decode(#"{"type":"Chat","content":"x","\u0063ontent":"y"}"#).frame
                == .refused(.malformedJSON, "content: given twice")
        )
    }

    @Test(
        "refuses a bad field, naming it",
        arguments: [
            (#"{}"#, "type"), (#"{"type":null}"#, "type"), (#"{"type":1}"#, "type"), (#"{"type":["Chat"]}"#, "type"),
            (#"{"type":"Chat"}"#, "content"), (#"{"type":"Chat","content":null}"#, "content"),
            (#"{"type":"Chat","content":1}"#, "content"), (#"{"type":"Chat","content":{}}"#, "content"),
            (#"{"type":"Chat","content":""}"#, "content"),
            (#"{"type":"Chat","content":"","file_id":null}"#, "content"),
            (#"{"type":"Chat","content":"x","content_type":"Texts"}"#, "content_type"),
            (#"{"type":"Chat","content":"x","content_type":""}"#, "content_type"),
            (#"{"type":"Chat","content":"x","content_type":1}"#, "content_type"),
            (#"{"type":"Chat","content":"x","from_user_id":"u2"}"#, "from_user_id"),
            (#"{"type":"Chat","content":"x","from":"u2"}"#, "from_user_id"),
            (#"{"type":"Chat","content":"x","from_user_id":1}"#, "from_user_id"),
            (#"{"type":"Chat","content":"x","to_user_id":""}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","to_user_id":7}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","to_user_id":"a b"}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","to":"a:b"}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","to_user_id":".."}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","to_user_id":"é"}"#, "to_user_id"),
            (#"{"type":"Chat","content":"x","file_id":"../x"}"#, "file_id"),
            (#"{"type":"Chat","content":"x","file_id":false}"#, "file_id"),
            (#"{"type":"Chat","content":"x","client_id":""}"#, "client_id"),
            (#"{"type":"Chat","content":"x","client_id":5}"#, "client_id"),
            (#"{"type":"Delivered"}"#, "conversation_id"),
            (#"{"type":"Delivered","conversation_id":1}"#, "conversation_id"),
            (#"{"type":"Delivered","conversation_id":"c:u1"}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":"1"}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":-1}"#, "seq"),
            (#"{"type":"Delivered","conversation_id":"c:u1","seq":1.5}"#, "seq"),
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

    @Test("an unknown type is named, shortened")
    func unknownType() {
        #expect(decode(#"{"type":"Shout"}"#).frame == .refused(.unknownType, "type: Shout is not known"))
        #expect(decode(#"{"type":""}"#).frame == .refused(.unknownType, "type:  is not known"))
        let long = String(repeating: "x", count: 70_000)
        guard case .refused(.unknownType, let message) = decode(#"{"type":"\#(long)"}"#).frame else {
            Issue.record("was taken")
            return
        }
        #expect(message.utf8.count < 200)
        // One character can be as long as the frame.
        let marks = "e" + String(repeating: "\u{301}", count: 30_000)
        guard case .refused(.unknownType, let message) = decode(#"{"type":"\#(marks)"}"#).frame else {
            Issue.record("was taken")
            return
        }
        #expect(message.utf8.count < 500)
    }

    @Test(
        "what is no JSON object is malformed",
        arguments: [
            "", "x", "[]", "\"Chat\"", #"{"type":"Chat","content":"x""#, #"{"type":"Chat","content":"\ud800"}"#,
        ]
    )
    func malformed(text: String) {
        guard case .refused(let code, let message) = decode(text).frame else {
            Issue.record("was taken")
            return
        }
        #expect(code == .malformedJSON)
        #expect(!message.isEmpty)
    }

    @Test(
        "a member given twice leaves open which is meant",
        arguments: [
            #"{"type":"Chat","type":"Chat","content":"x"}"#, #"{"type":"Chat","content":"x","content":"y"}"#,
            #"{"type":"Chat","content":"x","to":"a","to_user_id":"b"}"#,
            #"{"type":"Chat","content":"x","to":null,"to":"a"}"#,
            #"{"type":"Chat","content":"x","from":"u1","from_user_id":"u1"}"#,
        ]
    )
    func duplicates(text: String) {
        guard case .refused(.malformedJSON, let message) = decode(text).frame else {
            Issue.record("was taken")
            return
        }
        #expect(message.hasSuffix("given twice"))
    }

    @Test("an unknown member may come twice")
    func unknownTwice() {
        #expect(decode(#"{"x":1,"type":"Heartbeat","x":2}"#).frame == .heartbeat)
    }

    @Test(
        "client_id is known for the Error answer also when the frame is refused",
        arguments: [
            #"{"client_id":"c1","type":"Chat"}"#, #"{"type":"Nothing","client_id":"c1"}"#, #"{"client_id":"c1"}"#,
            #"{"type":"Chat","content":"x","from":"u9","client_id":"c1"}"#,
            #"{"type":"Chat","content":"","client_id":"\u0063\u0031"}"#,
        ]
    )
    func echo(text: String) {
        let (frame, echo) = decode(text)
        guard case .refused = frame else {
            Issue.record("was taken")
            return
        }
        #expect(echo == FrameEcho(clientID: "c1"))
    }

    @Test("client_id has at most 64 characters, counted as scalars")
    func clientIDLength() {
        for unit in ["x", "é", "😀"] {
            let longest = String(repeating: unit, count: 64)
            let frame = #"{"type":"Chat","content":"x","client_id":"\#(longest)"}"#
            #expect(decode(frame) == (chat("x", clientID: longest), FrameEcho(clientID: longest)))
            let (refused, echoed) = decode(#"{"type":"Chat","content":"x","client_id":"\#(longest)\#(unit)"}"#)
            #expect(refused == .refused(.clientIDLength, "client_id: must have 1 to 64 characters"))
            #expect(echoed == FrameEcho())
        }
    }

    @Test("names have at most 64 characters")
    func nameLength() {
        let longest = String(repeating: "a", count: 64)
        #expect(decode(#"{"type":"Chat","content":"x","to":"\#(longest)"}"#).frame == chat("x", to: longest))
        guard case .refused = decode(#"{"type":"Chat","content":"x","to":"\#(longest)a"}"#).frame else {
            Issue.record("was taken")
            return
        }
    }

    @Test(
        "content has at most 10,000 scalars, however they are written",
        arguments: ["x", "é", "你", "😀", #"\n"#, #"\u4f60"#, #"\ud83d\ude00"#]
    )
    func contentLength(unit: String) {
        let longest = String(repeating: unit, count: 10_000)
        guard case .chat = decode(#"{"type":"Chat","content":"\#(longest)"}"#).frame else {
            Issue.record("10,000 were refused")
            return
        }
        for more in ["x", unit] {
            #expect(
                decode(#"{"type":"Chat","content":"\#(longest)\#(more)"}"#).frame
                    == .refused(.contentTooLong, "content: at most 10000 characters")
            )
        }
    }

    @Test("content may be empty with a file")
    func emptyWithFile() {
        #expect(
            decode(#"{"type":"Chat","content":"","content_type":"File","file_id":"f1"}"#).frame
                == chat("", .file, file: "f1")
        )
    }
}

extension String {
    fileprivate func replacingOccurrences(_ text: String, with other: String) -> String {
        split(separator: text, omittingEmptySubsequences: false).joined(separator: other)
    }
}
