import Contracts
import Core
import Foundation
import HTTP
import ServiceKit
import Testing

@testable import PresenceService

@Suite("Internal routes of presence (DESIGN §5)")
struct InternalRoutesTests {
    private func heartbeat(
        _ driver: RouteDriver,
        _ gatewayID: String = "g1",
        _ body: String = #"{"url":"http://h:1","incarnation":"a","connections":1,"draining":false}"#
    ) async throws -> (status: Int, json: [String: any Sendable]) {
        try await driver.send(.post, "/internal/gateways/\(gatewayID)", body)
    }

    private func events(
        _ driver: RouteDriver,
        _ registration: Int,
        first: Int,
        _ events: String,
        gatewayID: String = "g1"
    ) async throws -> (status: Int, json: [String: any Sendable]) {
        let body =
            #"{"gateway_id":"\#(gatewayID)","registration":\#(registration),"first":\#(first),"events":\#(events)}"#
        return try await driver.send(.post, "/internal/events", body)
    }

    @Test("a heartbeat answers the epoch, the registration, the peers and the lease")
    func registration() async throws {
        let driver = try await RouteDriver()
        _ = try await heartbeat(driver, "g2")
        let json = try await heartbeat(driver).json
        #expect(json["presence_epoch"] as? String == "epoch")
        #expect(json["registration"] as? Int == 101)
        #expect(json["lease_ms"] as? Int == 2000)
        let gateways = json["gateways"] as? [[String: any Sendable]] ?? []
        #expect(gateways.map { $0["gateway_id"] as? String } == ["g1", "g2"])
        #expect(gateways.map { $0["registration"] as? Int } == [101, 100])
        let drained = #"{"url":"http://h:1","incarnation":"a","connections":0,"draining":true}"#
        let last = try await heartbeat(driver, "g1", drained).json
        #expect(last["registration"] == nil)
        #expect((last["gateways"] as? [any Sendable])?.count == 1)
    }

    @Test(
        "a bad heartbeat is 422 and registers nothing",
        arguments: [
            #"{"url":"ftp://h","incarnation":"a","connections":1,"draining":false}"#,
            #"{"url":"http://h","incarnation":"","connections":1,"draining":false}"#,
            #"{"url":"http://h","incarnation":"a","connections":-1,"draining":false}"#,
            #"{"url":"http://h","incarnation":"a","connections":1}"#,
        ]
    )
    func badHeartbeat(body: String) async throws {
        let driver = try await RouteDriver()
        #expect(try await heartbeat(driver, "g1", body).status == 422)
        #expect(driver.metrics.gateways.value == 0)
    }

    @Test("unknown registrations, missing announcements and gaps are 409 conflict; copies are accepted")
    func conflicts() async throws {
        let driver = try await RouteDriver()
        let join = #"[{"kind":"join","user_id":"u1","user_name":"n","user_type":"Kehu"}]"#
        let unknown = try await events(driver, 5, first: 1, join)
        #expect(unknown.status == 409)
        #expect(unknown.json["code"] as? String == "conflict")
        _ = try await heartbeat(driver)
        #expect(try await events(driver, 100, first: 1, join).status == 409)
        let number = try await driver.announce("g1", ["u2:Kehu"])
        #expect(try await events(driver, number, first: 5, join).status == 409)
        #expect(try await events(driver, number, first: 4, join).json["accepted_through"] as? Int == 4)
        #expect(try await events(driver, number, first: 4, join).json["accepted_through"] as? Int == 4)
        #expect(driver.presence.feed.version == 2)
        #expect(driver.metrics.eventsApplied.value == 4)
        #expect(driver.metrics.eventsRepeated.value == 1)
        #expect(driver.metrics.batchesRefused.value == 3)
    }

    @Test("a batch at the limit is applied, one past it and bad events are 422, and apply nothing")
    func limits() async throws {
        let driver = try await RouteDriver()
        let number = try await driver.announce("g1", [])
        let leave = #"{"kind":"leave","user_id":"u1"}"#
        let full = "[" + Array(repeating: leave, count: 1000).joined(separator: ",") + "]"
        let tooMany = "[" + Array(repeating: leave, count: 1001).joined(separator: ",") + "]"
        #expect(try await events(driver, number, first: 3, tooMany).status == 422)
        #expect(try await events(driver, number, first: 3, full).json["accepted_through"] as? Int == 1002)
        for bad in [
            #"[{"kind":"join","user_id":"u1","user_name":"n"}]"#, #"[{"kind":"join","user_name":"n"}]"#,
            #"[{"kind":"leave","user_id":"a b"}]"#, #"[{"kind":"leave"}]"#, #"[{"kind":"hop"}]"#,
        ] {
            #expect(try await events(driver, number, first: 1003, bad).status == 422)
        }
        #expect(try await events(driver, number, first: 0, "[]").status == 422)
        let long = String(repeating: "x", count: (1 << 20) + 1)
        #expect(try await driver.send(.post, "/internal/events", long).status == 413)
        #expect(driver.metrics.users.value == 0)
    }

    @Test("a look-up names the gateways of each user, none for who is nowhere")
    func locate() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g2", ["u1:Kehu"])
        _ = try await driver.announce("g1", ["u1:Kehu", "a1:Kefu"])
        let answer = try await driver.send(.post, "/internal/locate", #"{"user_ids":["u1","a1","u9","u1"]}"#).json
        let locations = answer["locations"] as? [String: [String]]
        #expect(locations == ["u1": ["g1", "g2"], "a1": ["g1"], "u9": []])
        #expect(answer["lease_ms"] as? Int == 2000)
        let ids = Array(repeating: "\"u1\"", count: 1001).joined(separator: ",")
        #expect(try await driver.send(.post, "/internal/locate", #"{"user_ids":[\#(ids)]}"#).status == 422)
    }

    @Test("changes: a reset names epoch and version, then news, then nothing", .timeLimit(.minutes(5)))
    func changes() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["u1:Kehu"])
        let reset = try await driver.send(.get, "/internal/changes").json
        #expect(reset["reset"] as? Bool == true)
        #expect(reset["next"] as? Int == 1)
        let snapshot = try await driver.send(.get, "/internal/users").json
        #expect(snapshot["next"] as? Int == 1)
        #expect(snapshot["epoch"] as? String == "epoch")
        #expect(snapshot["settled"] as? Bool == false)
        #expect((snapshot["users"] as? [any Sendable])?.count == 1)
        let empty = try await driver.send(.get, "/internal/changes?epoch=epoch&after=1&wait=0").json
        #expect(empty["reset"] as? Bool == false)
        #expect(empty["next"] as? Int == 1)
        async let waiting = driver.send(.get, "/internal/changes?epoch=epoch&after=1&wait=25")
        while driver.presence.feed.waiting == 0 { await Task.yield() }
        _ = try await driver.announce("g2", ["u1:Kehu", "a1:Kefu"])
        let news = try await waiting.json
        let change = try #require((news["changes"] as? [[String: any Sendable]])?.first)
        #expect(change["version"] as? Int == 2)
        #expect(change["kind"] as? String == "joined")
        #expect(change["user_id"] as? String == "a1")
        #expect(change["status"] as? String == "Online")
        #expect(change["at"] as? String == Moment.start.wall.wire)
    }

    @Test("a wait ends empty at its time, and who has left is told as Offline", .timeLimit(.minutes(5)))
    func waits() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["u1:Kehu"])
        async let waiting = driver.send(.get, "/internal/changes?epoch=epoch&after=1&wait=2")
        while driver.presence.feed.waiting == 0 { await Task.yield() }
        await driver.pass(1500)
        #expect(driver.presence.feed.waiting == 1)
        await driver.pass(500)
        #expect((try await waiting.json["changes"] as? [any Sendable])?.isEmpty == true)
        await driver.pass(13_000)
        let left = try await driver.send(.get, "/internal/changes?epoch=epoch&after=1").json
        let change = try #require((left["changes"] as? [[String: any Sendable]])?.first)
        #expect(change["kind"] as? String == "left")
        #expect(change["status"] as? String == "Offline")
    }

    @Test("bad values of the feed are 400", arguments: ["wait=26", "wait=-1", "after=-1", "after=x", "wait=1.5"])
    func badChanges(query: String) async throws {
        let driver = try await RouteDriver()
        #expect(try await driver.send(.get, "/internal/changes?\(query)").status == 400)
    }

    @Test("a long name is cut, not refused")
    func longName() async throws {
        let driver = try await RouteDriver()
        let number = try await driver.announce("g1", [])
        let name = String(repeating: "名", count: 65)
        let join = #"[{"kind":"join","user_id":"u1","user_name":"\#(name)","user_type":"Kehu"}]"#
        #expect(try await events(driver, number, first: 3, join).status == 200)
        #expect(try await driver.users("/api/presence", as: "a1:Kefu", "user_name") == [String(name.dropLast())])
    }
}
