import Core
import Foundation
import HTTP
import Testing

@testable import PresenceService

@Suite("Presence routes")
struct PresenceRoutesTests {
    @Test("an agent sees everyone, a customer agents, and themself by name; /api/users/online is the same list")
    func visibility() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["u1:Kehu", "u2:Kehu", "a1:Kefu"])
        for path in ["/api/presence", "/api/users/online"] {
            #expect(try await driver.users(path, as: "a1:Kefu") == ["a1", "u1", "u2"])
            #expect(try await driver.users(path, as: "u2:Kehu") == ["a1"])
            #expect(try await driver.users(path + "?user_type=kehu", as: "u2:Kehu") == [])
            #expect(try await driver.users(path + "?user_type=support", as: "u2:Kehu") == ["a1"])
            #expect(try await driver.users(path + "?user_type=Kehu", as: "a1:Kefu") == ["u1", "u2"])
            #expect(try await driver.users(path, as: "u3:Kehu") == ["a1"])
        }
        #expect(try await driver.send(.get, "/api/presence/u1", as: "u2:Kehu").status == 404)
        #expect(try await driver.send(.get, "/api/presence/u1", as: "u1:Kehu").status == 200)
        #expect(try await driver.send(.get, "/api/presence/a1", as: "u2:Kehu").status == 200)
    }

    @Test("pages follow each other by cursor, also for a customer, who gets the agents alone")
    func pages() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["a1:Kefu", "a3:Kefu", "a4:Kefu", "a2:Kehu", "z:Kehu"])
        let list = try await driver.send(.get, "/api/presence?limit=2", as: "a2:Kehu").json
        #expect(list["next_cursor"] as? String == "a3")
        #expect(try await driver.users("/api/presence?limit=2", as: "a2:Kehu") == ["a1", "a3"])
        let rest = try await driver.send(.get, "/api/presence?limit=2&cursor=a3", as: "a2:Kehu").json
        #expect(rest["next_cursor"] == nil)
        #expect(try await driver.users("/api/presence?limit=2&cursor=a3", as: "a2:Kehu") == ["a4"])
        #expect(try await driver.users("/api/presence?limit=3&cursor=a4", as: "a1:Kefu") == ["z"])
    }

    @Test(
        "a bad query value is 400 and named",
        arguments: [
            ("user_type=Nobody", "user_type"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
            ("limit=+5", "limit"), ("limit=", "limit"), ("cursor=a/b", "cursor"), ("cursor=", "cursor"),
        ]
    )
    func badQuery(query: String, name: String) async throws {
        let driver = try await RouteDriver()
        let answer = try await driver.send(.get, "/api/presence?\(query)", as: "a1:Kefu")
        #expect(answer.status == 400)
        #expect(answer.json["code"] as? String == "bad_request")
        #expect((answer.json["detail"] as? String)?.hasPrefix(name) == true)
    }

    @Test("no session is 401, a wrong method 405")
    func refusals() async throws {
        let driver = try await RouteDriver()
        for path in ["/api/presence", "/api/presence/u1", "/api/presence/me", "/api/users/online"] {
            #expect(try await driver.send(.get, path).status == 401)
        }
        #expect(try await driver.send(.put, "/api/presence/me", #"{"status":"Busy"}"#).status == 401)
        #expect(try await driver.send(.delete, "/api/presence", as: "a1:Kefu").status == 405)
    }

    @Test("a status is shown, told, stored, and survives a restart; Offline cannot be chosen")
    func status() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["a1:Kefu"])
        let put = try await driver.send(.put, "/api/presence/me", as: "a1:Kefu", #"{"status":"Busy"}"#)
        #expect(put.status == 200)
        #expect(try await driver.users("/api/presence/a1", as: "u1:Kehu", "status") == ["Busy"])
        let changes = try await driver.send(.get, "/internal/changes?epoch=epoch&after=1").json
        let change = try #require((changes["changes"] as? [[String: any Sendable]])?.first)
        #expect(change["kind"] as? String == "status")
        #expect(change["status"] as? String == "Busy")
        #expect(try await driver.store.statuses() == ["a1": .busy])
        #expect(try await driver.send(.put, "/api/presence/me", as: "a1:Kefu", #"{"status":"Online"}"#).status == 200)
        #expect(try await driver.store.statuses() == [:])
        for bad in [#"{"status":"Offline"}"#, #"{"status":"busy"}"#, #"{"status":1}"#, "{}"] {
            #expect(try await driver.send(.put, "/api/presence/me", as: "a1:Kefu", bad).status == 422)
        }
        #expect(try await driver.send(.put, "/api/presence/me", as: "a1:Kefu", "{").status == 400)
    }

    @Test("a guest's status lasts as long as their presence and is not stored")
    func guest() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["guest-1:Kehu"])
        #expect(
            try await driver.send(.put, "/api/presence/me", as: "guest-1:Kehu", #"{"status":"Away"}"#).status == 200
        )
        #expect(try await driver.users("/api/presence/me", as: "guest-1:Kehu", "status") == ["Away"])
        #expect(try await driver.store.statuses() == [:])
    }

    @Test("who is offline is shown so, with the time they were last there; who does not exist is 404")
    func offline() async throws {
        let driver = try await RouteDriver(accounts: [.agent("a1"), .customer("u1"), .agent("a2")])
        _ = try await driver.announce("g1", ["a1:Kefu"])
        await driver.pass(10_000)
        #expect(try await driver.users("/api/presence/a1", as: "u1:Kehu", "status") == ["Online"])
        await driver.pass(5000)
        #expect(try await driver.users("/api/presence/a1", as: "u1:Kehu", "status") == ["Offline"])
        let lastSeen = Moment.start.wall.advanced(byMilliseconds: 10_000)
        #expect(try await driver.users("/api/presence/a1", as: "u1:Kehu", "last_seen") == [lastSeen.wire])
        #expect(try await driver.store.lastSeen(of: "a1") == lastSeen)
        #expect(try await driver.users("/api/presence/a2", as: "u1:Kehu", "last_seen") == ["-"])
        #expect(try await driver.send(.get, "/api/presence/u1", as: "u2:Kehu").status == 404)
        #expect(try await driver.send(.get, "/api/presence/nobody", as: "a1:Kefu").status == 404)
        #expect(try await driver.send(.get, "/api/presence/a%2Fb", as: "a1:Kefu").status == 404)
    }
}
