import Core
import HTTP
import ServiceKit
import Synchronization
import Testing

@testable import GatewayService

@Suite("Reports of pages")
struct ClientLogTests {
    @Test("one address has 30 at once and 30 a minute; others are not held up")
    func limit() throws {
        let clock = HeardNumber()
        let limit = ClientLogLimit { Int64(clock.value.load(ordering: .relaxed)) }
        for _ in 0..<ClientLogLimit.perMinuteMax { try limit.count("10.0.0.1") }
        let refused = #expect(throws: Problem.self) { try limit.count("10.0.0.1") }
        #expect(refused?.status == 429 && refused?.code == .tooManyRequests)
        #expect(refused?.headers.contains { $0.name == "Retry-After" && $0.value == "2" } == true)
        try limit.count("10.0.0.2")
        clock.value.add(2000, ordering: .relaxed)
        try limit.count("10.0.0.1")
        #expect(throws: Problem.self) { try limit.count("10.0.0.1") }
    }

    private static let marks = "error" + String(repeating: "\u{301}", count: 7000)

    @Test(
        "what breaks a rule is refused by its name",
        arguments: [
            (#"{"kind":"fault","message":"a","at":"2026-01-01T00:00:00Z"}"#, "events[0].kind"),
            (#"{"kind":"\#(marks)","message":"a","at":"t"}"#, "events[0].kind"),
            (#"{"kind":"error","at":"2026-01-01T00:00:00Z"}"#, "events[0].message"),
            (#"{"kind":"error","message":"a"}"#, "events[0].at"),
            (#"{"kind":"error","message":"a","at":""}"#, "events[0].at"),
            (#"{"kind":"timing","message":"a","at":"t","value_ms":-1}"#, "events[0].value_ms"),
            (#"{"kind":"timing","message":"a","at":"t","value_ms":"1"}"#, "events[0].value_ms"),
        ]
    )
    func rules(event: String, field: String) throws {
        let refused = try #require(problem(#"{"events":[\#(event)]}"#))
        #expect(refused.status == 422 && refused.detail.hasPrefix(field + ": "))
    }

    @Test("up to 50 events of 1,000 characters")
    func bounds() {
        func body(_ count: Int, _ characters: Int) -> String {
            let text = String(repeating: "图", count: characters)
            let event = #"{"kind":"error","message":"\#(text)","source":"\#(text)","at":"t"}"#
            return #"{"events":[\#(Array(repeating: event, count: count).joined(separator: ","))]}"#
        }
        #expect(problem(body(50, 1)) == nil)
        #expect(problem(body(51, 1))?.detail.hasPrefix("events: ") == true)
        #expect(problem(body(1, 1000)) == nil)
        #expect(problem(body(1, 1001))?.detail.hasPrefix("events[0].message: ") == true)
        #expect(problem(#"{"events":[]}"#) == nil)
    }

    private func problem(_ body: String) -> Problem? {
        do {
            try JSONBody.decode(ClientReport.self, from: Array(body.utf8)).check()
            return nil
        } catch {
            return error as? Problem
        }
    }
}
