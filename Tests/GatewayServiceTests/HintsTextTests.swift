import Core
import Foundation
import Testing

@testable import GatewayService

@Suite("Hints as JSON")
struct HintsTextTests {
    private func written(_ hints: DeliveryHints) -> [UInt8] {
        var bytes = ByteQueue()
        hints.write(to: &bytes)
        return Array(bytes.waiting)
    }

    private func read(_ json: String) throws -> DeliveryHints { try DeliveryHints(json: Array(json.utf8)) }

    private func problem(_ json: String) -> Problem? {
        do {
            _ = try read(json)
            return nil
        } catch {
            return error as? Problem
        }
    }

    private static let hints = DeliveryHints(
        entries: [
            DeliveryHint(conversationID: "c:u1", head: 42, userIDs: ["u1", "a1"]),
            DeliveryHint(
                conversationID: "d:a1:a2",
                head: 7,
                userIDs: ["a2"],
                texts: [Array(#""type":"Chat","content":"你好 \"}]"}"#.utf8)[...], Array(#""a":{"b":[1]}}"#.utf8)[...]]
            ),
            DeliveryHint(conversationID: "c:u2", head: 0, userIDs: []),
        ],
        readAll: true
    )

    @Test("what is written is read again, and is JSON to others", arguments: [hints, DeliveryHints()])
    func roundTrip(_ hints: DeliveryHints) throws {
        let bytes = written(hints)
        #expect(try DeliveryHints(json: bytes) == hints)
        let other = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        #expect((other?["entries"] as? [Any])?.count == hints.entries.count)
    }

    @Test("cut anywhere, or with any byte gone wrong, it is refused or still hints")
    func damaged() {
        let bytes = written(Self.hints)
        for length in 0..<bytes.count {
            #expect(throws: Problem.self) { try DeliveryHints(json: Array(bytes.prefix(length))) }
        }
        for index in bytes.indices {
            for byte in [UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "\""), 0, 0xff] {
                var wrong = bytes
                wrong[index] = byte
                guard let hints = try? DeliveryHints(json: wrong) else { continue }
                for hint in hints.entries {
                    #expect(hint.head >= hint.texts.count)
                    for text in hint.texts {
                        let json = Data([UInt8(ascii: "{")] + text)
                        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: json) }
                    }
                }
            }
        }
    }

    @Test("unknown members are ignored, in any order")
    func unknown() throws {
        let json = #"{"x":[{}],"entries":[{"y":null,"user_ids":["u"],"head":3,"conversation_id":"c:u"}]}"#
        let expected = DeliveryHints(entries: [DeliveryHint(conversationID: "c:u", head: 3, userIDs: ["u"])])
        #expect(try read(json) == expected)
    }

    @Test(
        "the member that is wrong is named",
        arguments: [
            ("{}", "entries"), (#"{"entries":[{}]}"#, "entries"),
            (#"{"entries":[{"conversation_id":"c:u","head":-1,"user_ids":[]}]}"#, "entries"),
            (#"{"entries":[{"conversation_id":"c:u","head":"1","user_ids":[]}]}"#, "entries"),
            (#"{"entries":[{"conversation_id":"c:u","head":1,"user_ids":[],"texts":[1]}]}"#, "texts"),
            (#"{"entries":[{"conversation_id":"c:u","head":1,"user_ids":[],"texts":[{},{}]}]}"#, "texts"),
        ]
    )
    func wrong(_ json: String, _ member: String) {
        let problem = problem(json)
        #expect(problem?.status == 422)
        #expect(problem?.detail.contains(member) == true)
    }

    @Test("what is no JSON is 400; more hints than the contract allows are 422")
    func refused() {
        #expect(problem("[]")?.status == 400)
        #expect(problem("{} x")?.status == 400)
        let hint = #"{"conversation_id":"c:u","head":1,"user_ids":[]}"#
        let many = Array(repeating: hint, count: DeliveryHints.entriesMax + 1).joined(separator: ",")
        #expect(problem(#"{"entries":["# + many + "]}")?.status == 422)
    }
}
