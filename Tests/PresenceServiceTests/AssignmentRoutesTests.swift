import Contracts
import Core
import Foundation
import HTTP
import ServiceKit
import Testing

@testable import PresenceService

@Suite("Routing's internal routes (DESIGN §5)", .timeLimit(.minutes(5)))
struct AssignmentRoutesTests {
    private typealias Answer = (status: Int, json: [String: any Sendable])

    private func post(_ driver: RouteDriver, _ path: String, _ body: String) async throws -> Answer {
        try await driver.send(.post, "/internal/assignments\(path)", body)
    }

    private func request(
        _ customerID: String,
        by requester: String,
        _ rest: String = #""queue":true"#,
        isAdmin: Bool = false
    ) -> String {
        #"{"conversation_id":"c:\#(customerID)","requested_by":"\#(requester)","is_admin":\#(isAdmin),"#
            + #""seq":1,\#(rest)}"#
    }

    /// Reports the entry of the answer's decision.
    private func log(_ driver: RouteDriver, _ json: [String: any Sendable], seq: Int) async throws {
        let decision = try #require(json["decision"] as? [String: any Sendable])
        let decisionID = try #require(decision["decision_id"] as? String)
        let conversationID = try #require(decision["conversation_id"] as? String)
        let body = #"{"conversation_id":"\#(conversationID)","seq":\#(seq)}"#
        #expect(try await post(driver, "/\(decisionID)/logged", body).status == 204)
    }

    @Test("a conversation's whole way: queued, assigned, answered, transferred, returned, closed, and its history")
    func wholeWay() async throws {
        let driver = try await RouteDriver(accounts: [.agent("a1"), .agent("a2")], capacities: ["a1": 1])
        let queued = await driver.need("u1", seq: 1)
        #expect(queued["state"] as? String == "queued")
        #expect(queued["position"] as? Int == 1)
        #expect(queued["reason"] as? String == "no_agent")
        #expect(queued["agents_present"] as? Bool == false)
        #expect(queued["decision"] == nil)
        _ = try await driver.announce("g1", ["a1:Kefu"])
        await driver.settle()
        #expect(await driver.state("u1") == "open")
        let opened = await driver.need("u1", seq: 1)
        #expect(opened["agent_id"] as? String == "a1")
        try await log(driver, opened, seq: 2)
        let answered = #"{"conversation_id":"c:u1","agent_id":"a1","seq":3}"#
        #expect(try await post(driver, "/answered", answered).status == 204)
        _ = try await driver.announce("g2", ["a2:Kefu"])
        await driver.settle()
        let moved = try await post(driver, "/transfer", request("u1", by: "a1", #""agent_id":"a2","note":"French""#))
        #expect(moved.json["agent_id"] as? String == "a2")
        try await log(driver, moved.json, seq: 4)
        let returned = try await post(driver, "/transfer", request("u1", by: "a2"))
        #expect(returned.json["state"] as? String == "queued")
        try await log(driver, returned.json, seq: 5)
        let again = await driver.need("u1", seq: 1)
        #expect(again["agent_id"] as? String == "a1")
        try await log(driver, again, seq: 6)
        let closed = try await post(driver, "/close", request("u1", by: "a1", #""note":"done""#))
        #expect(closed.json["state"] as? String == "closed")
        try await log(driver, closed.json, seq: 7)
        let history = try await driver.send(.get, "/internal/assignments/c:u1").json
        let decisions = try #require(history["decisions"] as? [[String: any Sendable]])
        #expect(decisions.map { $0["number"] as? Int } == [6, 5, 4, 3, 2, 1])
        #expect(
            decisions.map { $0["reason"] as? String } == [
                "closed_by", "least_loaded", "returned_to_queue", "transferred_by", "least_loaded", "no_agent",
            ]
        )
        let short = try await driver.send(.get, "/internal/assignments/c:u1?limit=2").json
        #expect((short["decisions"] as? [any Sendable])?.count == 2)
    }

    @Test("refusals have their status and code")
    func refusals() async throws {
        let driver = try await RouteDriver(
            routingLimits: .init(queueMax: 1),
            accounts: [.agent("a1"), .agent("a2"), .agent("a3"), .customer("u9")],
            capacities: ["a1": 1]
        )
        _ = try await driver.announce("g1", ["a1:Kefu", "a2:Kefu"])
        let busy = try await driver.send(.put, "/internal/users/a2/status", #"{"status":"Busy"}"#)
        #expect(busy.status == 204)
        await driver.settle()
        let opened = await driver.need("u1")
        await driver.need("u2")
        func code(_ path: String, _ body: String) async throws -> String {
            let answer = try await post(driver, path, body)
            return "\(answer.status) \(answer.json["code"] as? String ?? "-")"
        }
        let toA2 = request("u1", by: "a1", #""agent_id":"a2""#)
        #expect(try await code("/transfer", toA2) == "409 conflict")
        try await log(driver, opened, seq: 2)
        #expect(try await code("/transfer", toA2) == "409 agent_unavailable")
        #expect(try await code("/transfer", request("u1", by: "a1", #""agent_id":"a3""#)) == "409 agent_unavailable")
        #expect(try await code("/transfer", request("u1", by: "a1", #""agent_id":"a8""#)) == "422 invalid_field")
        #expect(try await code("/transfer", request("u1", by: "a1", #""agent_id":"u9""#)) == "422 invalid_field")
        #expect(try await code("/transfer", request("u1", by: "a2")) == "403 forbidden")
        #expect(try await code("/close", request("u1", by: "a2")) == "403 forbidden")
        #expect(try await code("/close", request("u7", by: "a2")) == "404 not_found")
        let byAdmin = request("u2", by: "a2", #""agent_id":"a1""#, isAdmin: true)
        #expect(try await code("/assign", byAdmin) == "409 agent_at_capacity")
        #expect(await driver.need("u3")["code"] as? String == "queue_full")
        #expect(try await driver.send(.get, "/internal/assignments/c:u7").status == 404)
        #expect(try await driver.send(.get, "/internal/assignments/d:a:b").status == 404)
        #expect(try await driver.send(.get, "/internal/assignments/c:u1?limit=201").status == 400)
    }

    private static let need =
        #"{"conversation_id":"c:u1","customer_id":"u1","seq":1,"requested_by":"u1","requester_type":"Kehu"}"#
    private static let order =
        #"{"conversation_id":"c:u1","agent_id":"a1","requested_by":"a1","is_admin":false,"seq":1}"#

    @Test(
        "a bad field is 422 and named, and decides nothing",
        arguments: [
            ("", need.replacing("c:u1", with: "d:u1"), "conversation_id"),
            ("", need.replacing("c:u1", with: "c:u2"), "customer_id"),
            ("", need.replacing(#""seq":1"#, with: #""seq":0"#), "seq"),
            ("", need.replacing(#""seq":1,"#, with: ""), "seq"),
            ("", need.replacing(#""requested_by":"u1""#, with: #""requested_by":"u2""#), "requested_by"),
            ("", need.replacing("Kehu", with: "Nobody"), "requester_type"),
            ("", need.replacing(#""seq":1"#, with: #""seq":1,"agent_id":"a b""#), "agent_id"),
            ("/assign", order.replacing(#""agent_id":"a1","#, with: ""), "agent_id"),
            ("/assign", order.replacing(#""seq":1"#, with: #""seq":1,"queue":true"#), "queue"),
            ("/assign", order.replacing(#""seq":1"#, with: #""seq":-1"#), "seq"),
            ("/assign", order.replacing(#""is_admin":false"#, with: #""is_admin":1"#), "is_admin"),
            ("/transfer", order.replacing(#""agent_id":"a1","#, with: ""), "agent_id"),
            ("/transfer", order.replacing(#""seq":1"#, with: #""seq":1,"queue":true"#), "queue"),
            ("/close", order.replacing(#""requested_by":"a1""#, with: #""requested_by":"..""#), "requested_by"),
            (
                "/close",
                order.replacing(#""seq":1"#, with: #""seq":1,"note":"\#(String(repeating: "说", count: 501))""#),
                "note"
            ),
            ("/answered", #"{"conversation_id":"c:u1","agent_id":"","seq":1}"#, "agent_id"),
            ("/answered", #"{"conversation_id":"c:u1","agent_id":"a1","seq":0}"#, "seq"),
            ("/r-1/logged", #"{"conversation_id":"u1","seq":1}"#, "conversation_id"),
            ("/r-1/logged", #"{"conversation_id":"c:u1","seq":9007199254740992}"#, "seq"),
        ]
    )
    func badField(path: String, body: String, field: String) async throws {
        let driver = try await RouteDriver()
        let answer = try await post(driver, path, body)
        #expect(answer.status == 422)
        #expect((answer.json["detail"] as? String)?.hasPrefix(field) == true, "\(answer.json)")
        #expect(try await driver.routingStore.liveConversations().isEmpty)
    }

    @Test("a note of 500 characters is kept; a bad decision id is 400, a body that is no JSON too")
    func limits() async throws {
        let driver = try await RouteDriver()
        await driver.need("u1")
        let note = String(repeating: "说", count: 500)
        let taken = try await post(driver, "/assign", request("u1", by: "a1", #""agent_id":"a1","note":"\#(note)""#))
        #expect((taken.json["decision"] as? [String: any Sendable])?["note"] as? String == note)
        #expect(try await post(driver, "/a%20b/logged", #"{"conversation_id":"c:u1","seq":1}"#).status == 400)
        #expect(try await post(driver, "/assign", "{").status == 400)
        #expect(try await post(driver, "/assign", String(repeating: " ", count: 40_000)).status == 413)
    }

    @Test("a gateway sets a user's status: stored, shown, and routing goes by it")
    func status() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["a1:Kefu"])
        await driver.settle()
        #expect(try await driver.send(.put, "/internal/users/a1/status", #"{"status":"Away"}"#).status == 204)
        #expect(try await driver.store.statuses() == ["a1": .away])
        #expect(try await driver.users("/api/presence/a1", as: "u1:Kehu", "status") == ["Away"])
        #expect(await driver.need("u1")["state"] as? String == "queued")
        for bad in [#"{"status":"Offline"}"#, #"{"status":"busy"}"#, "{}"] {
            #expect(try await driver.send(.put, "/internal/users/a1/status", bad).status == 422)
        }
        #expect(try await driver.send(.put, "/internal/users/a%20b/status", #"{"status":"Away"}"#).status == 400)
        #expect(try await driver.send(.put, "/internal/users/a1/status", #"{"status":"Online"}"#).status == 204)
        await driver.settle()
        #expect(await driver.state("u1") == "open")
    }

    @Test("an agent who drops is not given anything more, and is lost 60 s after the last frame heard")
    func drop() async throws {
        let driver = try await RouteDriver(limits: .init(gatewaySilenceMax: 600_000))
        let number = try await driver.announce("g1", ["a1:Kefu"])
        await driver.settle()
        try await log(driver, await driver.need("u1"), seq: 2)
        await driver.pass(60_000)
        let event = #"{"kind":"leave","user_id":"a1","silent_ms":50000}"#
        let leave = #"{"gateway_id":"g1","registration":\#(number),"first":4,"events":[\#(event)]}"#
        #expect(try await driver.send(.post, "/internal/events", leave).status == 200)
        // In the grace after a drop everyone still sees them, and routing does not count on them.
        #expect(try await driver.users("/api/presence", as: "u1:Kehu") == ["a1"])
        #expect(await driver.need("u2")["reason"] as? String == "no_agent")
        await driver.pass(9500)
        #expect(await driver.state("u1") == "open")
        await driver.pass(500)
        #expect(await driver.state("u1") == "queued")
        let bad = leave.replacing("50000", with: "-1").replacing(#""first":4"#, with: #""first":5"#)
        #expect(try await driver.send(.post, "/internal/events", bad).status == 422)
    }

    @Test("a gateway that was silent takes its agents' silence with it")
    func silentGateway() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["a1:Kefu"])
        await driver.settle()
        try await log(driver, await driver.need("u1"), seq: 2)
        await driver.pass(59_500)
        #expect(await driver.state("u1") == "open")
        await driver.pass(500)
        #expect(await driver.state("u1") == "queued")
    }
}
