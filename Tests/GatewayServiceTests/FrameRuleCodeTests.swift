import Core
import Testing

@testable import GatewayService

@Suite("Each rule of a frame's members has a code of its own")
struct FrameRuleCodeTests {
    @Test(
        "the code says which rule",
        arguments: [
            (#"{"type":"Chat","content":""}"#, .contentEmpty),
            (#"{"type":"Chat","content":"a","content_type":"Smell"}"#, .contentTypeUnknown),
            (#"{"type":"Chat","content":"a","from":"u2"}"#, .senderMismatch),
            (#"{"type":"Chat","content":"a","to":"a b"}"#, .idMalformed),
            (#"{"type":"Chat","content":"a","file_id":"../x"}"#, .idMalformed),
            (#"{"type":"Chat","content":"a","client_id":""}"#, .clientIDLength),
            (#"{"type":"Read","conversation_id":"","seq":1}"#, .idMalformed),
            (#"{"type":"Read","conversation_id":"c:u1","seq":-1}"#, .numberOutOfRange),
            (#"{"type":"Sync","cursors":{"c:u1":1,"c:u1":1}}"#, .cursorRepeated),
            (#"{"type":"Typing","is_typing":true}"#, .targetAmbiguous),
            (#"{"type":"Recall","conversation_id":"c:u1","target_seq":0}"#, .numberOutOfRange),
            (#"{"type":"HistoryRequest"}"#, .targetAmbiguous),
            (#"{"type":"HistoryRequest","with":"u1"}"#, .recipientForbidden),
            (#"{"type":"HistoryRequest","with":"a1","limit":201}"#, .numberOutOfRange),
            (#"{"type":"HistoryRequest","with":"a1","before":2,"after":1}"#, .bothBounds),
            (#"{"type":"OnlineUsers","user_type":"Boss"}"#, .userTypeUnknown),
            (#"{"type":"Status","status":"Offline"}"#, .statusUnknown),
            (#"{"type":"Session","session_id":"a b"}"#, .idMalformed),
        ] as [(String, ProblemCode)]
    )
    func rules(text: String, expected: ProblemCode) {
        guard case .refused(let code, _) = decode(text).frame else {
            Issue.record("was taken")
            return
        }
        #expect(code == expected)
    }

    @Test("a frame full of combining marks is refused by the member's own code, whichever it is in")
    func marks() {
        let marks = "u1" + String(repeating: "\u{301}", count: 30_000)
        let rows: [(String, ProblemCode)] = [
            (#"{"type":"Chat","content":"a","from_user_id":"\#(marks)"}"#, .senderMismatch),
            (#"{"type":"OnlineUsers","user_type":"\#(marks)"}"#, .userTypeUnknown),
            (#"{"type":"Status","status":"\#(marks)"}"#, .statusUnknown),
        ]
        for (text, expected) in rows {
            guard case .refused(let code, _) = decode(text).frame else {
                Issue.record("was taken")
                continue
            }
            #expect(code == expected)
        }
        guard case .chat = decode(#"{"type":"Chat","content":"a","from":"\u0075\u0031"}"#).frame else {
            Issue.record("an escaped name is the same name")
            return
        }
    }

    @Test(
        "a member that is missing or of another JSON type is invalid_field",
        arguments: [
            #"{"type":"Chat"}"#, #"{"type":"Chat","content":7}"#, #"{"type":"Chat","content":"a","to":7}"#,
            #"{"type":"Chat","content":"a","from":7}"#, #"{"type":"Chat","content":"a","content_type":7}"#,
            #"{"type":"Chat","content":"a","client_id":7}"#, #"{"type":"Read","conversation_id":7,"seq":1}"#,
            #"{"type":"Read","conversation_id":"c:u1","seq":"1"}"#, #"{"type":"Read","conversation_id":"c:u1"}"#,
            #"{"type":"Sync"}"#, #"{"type":"Sync","cursors":{"c:u1":"1"}}"#, #"{"type":"Typing","to":"a1"}"#,
            #"{"type":"Status"}"#, #"{"type":"OnlineUsers","user_type":7}"#, #"{"type":"Session","session_id":7}"#,
        ]
    )
    func shapes(text: String) {
        guard case .refused(let code, _) = decode(text).frame else {
            Issue.record("was taken")
            return
        }
        #expect(code == .invalidField)
    }
}

extension ProblemCode {
    /// What a frame may be refused with for one of its members.
    static let ofFields: Set<ProblemCode> = [
        .invalidField, .contentEmpty, .contentTooLong, .contentTypeUnknown, .senderMismatch, .clientIDLength,
        .idMalformed, .recipientForbidden, .targetAmbiguous, .tooManyCursors, .cursorRepeated, .numberOutOfRange,
        .bothBounds, .statusUnknown, .userTypeUnknown,
    ]
}
