import Contracts
import Core
import Foundation
import HTTP
import Synchronization
import Testing

@testable import PresenceService

/// The service's routes without sockets, on a real store in memory, with the tests' own clock.
final class RouteDriver: Sendable {
    let presence: Presence
    let store: SQLiteStatusStore
    private let router: Router

    /// - Parameter directory: The users of auth, who need not be online.
    init(limits: PresenceState.Limits = .init(), directory: [PresenceTable.Identity] = []) async throws {
        let store = try await SQLiteStatusStore.open(path: ":memory:")
        let holder = ClockHolder()
        let clock: @Sendable () -> Moment = { holder.now }
        let presence = Presence(
            PresenceState(limits: limits, firstRegistration: 100, now: .start),
            feed: ChangeFeed(ChangeHistory(epoch: "epoch", changesMax: 100)) {},
            store: store,
            leaseMilliseconds: 2000,
            log: Log(service: "presence", level: .error),
            clock: clock
        )
        var router = Router()
        router.mount(
            PresenceRoutes(
                presence: presence,
                authenticate: { request in
                    // The test's session is the caller's name, with the type after it.
                    let parts = (request.headers["X-Session-Id"] ?? "").split(separator: ":")
                    guard parts.count == 2, let type = UserType(wire: parts[1]) else {
                        throw Problem.unauthenticated("no session")
                    }
                    return Caller(userID: String(parts[0]), userName: "name", userType: type)
                },
                lookUp: { userID, _ in directory.first { $0.userID == userID } }
            )
        )
        router.mount(InternalRoutes(presence: presence, clock: clock))
        self.router = router
        self.presence = presence
        self.store = store
        self.holder = holder
    }

    private let holder: ClockHolder

    private final class ClockHolder: Sendable {
        private let moment = Mutex(Moment.start)
        var now: Moment { moment.withLock { $0 } }
        func pass(_ span: Milliseconds) { moment.withLock { $0 = $0.advanced(by: span) } }
    }

    /// Lets time pass in sweeps, as the service does.
    func pass(_ span: Milliseconds) async {
        var rest = span
        while rest > 0 {
            holder.pass(min(rest, 500))
            rest -= 500
            _ = await presence.sweep()
        }
    }

    /// Makes a request.
    ///
    /// - Returns: The status, and the body's JSON object.
    func send(
        _ method: HTTP.Method,
        _ target: String,
        as session: String? = nil,
        _ body: String = ""
    ) async throws -> (status: Int, json: [String: any Sendable]) {
        var headers: Headers = ["Content-Type": "application/json"]
        if let session { headers["X-Session-Id"] = session }
        let response = await router.respond(
            to: Request(
                head: RequestHead(method: method, target: target, headers: headers),
                body: RequestBody(Array(body.utf8))
            )
        )
        guard case .bytes(let bytes) = response.body else { return (response.status.code, [:]) }
        let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: any Sendable]
        return (response.status.code, object ?? [:])
    }

    /// The user ids, or the statuses, of a list's users.
    func users(_ target: String, as session: String, _ member: String = "user_id") async throws -> [String] {
        let json = try await send(.get, target, as: session).json
        let users = json["users"] as? [[String: any Sendable]] ?? []
        return users.map { $0[member] as? String ?? "-" }
    }

    /// Registers a gateway and announces these users, `name:type`.
    func announce(_ gatewayID: String, _ users: [String]) async throws -> Int {
        let heartbeat = #"{"url":"http://h:1","incarnation":"a","connections":1,"draining":false}"#
        let answer = try await send(.post, "/internal/gateways/\(gatewayID)", heartbeat).json
        let number = try #require(answer["registration"] as? Int)
        let joins = users.map { user in
            let parts = user.split(separator: ":")
            return #"{"kind":"join","user_id":"\#(parts[0])","user_name":"n","user_type":"\#(parts[1])"},"#
        }
        let events = #"[{"kind":"announce_begin"},\#(joins.joined()){"kind":"announce_end"}]"#
        let body = #"{"gateway_id":"\#(gatewayID)","registration":\#(number),"first":1,"events":\#(events)}"#
        let sent = try await send(.post, "/internal/events", body)
        #expect(sent.status == 200)
        #expect(sent.json["accepted_through"] as? Int == users.count + 2)
        return number
    }
}

@Suite("Presence routes")
struct PresenceRoutesTests {
    @Test("an agent sees everyone, a customer agents and themself; /api/users/online is the same list")
    func visibility() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["u1:Kehu", "u2:Kehu", "a1:Kefu"])
        for path in ["/api/presence", "/api/users/online"] {
            #expect(try await driver.users(path, as: "a1:Kefu") == ["a1", "u1", "u2"])
            #expect(try await driver.users(path, as: "u2:Kehu") == ["a1", "u2"])
            #expect(try await driver.users(path + "?user_type=kehu", as: "u2:Kehu") == ["u2"])
            #expect(try await driver.users(path + "?user_type=support", as: "u2:Kehu") == ["a1"])
            #expect(try await driver.users(path + "?user_type=Kehu", as: "a1:Kefu") == ["u1", "u2"])
            #expect(try await driver.users(path, as: "u3:Kehu") == ["a1"])
        }
        #expect(try await driver.send(.get, "/api/presence/u1", as: "u2:Kehu").status == 404)
        #expect(try await driver.send(.get, "/api/presence/u1", as: "u1:Kehu").status == 200)
        #expect(try await driver.send(.get, "/api/presence/a1", as: "u2:Kehu").status == 200)
    }

    @Test("pages follow each other by cursor, also for a customer whose own place is among the agents")
    func pages() async throws {
        let driver = try await RouteDriver()
        _ = try await driver.announce("g1", ["a1:Kefu", "a3:Kefu", "a4:Kefu", "a2:Kehu", "z:Kehu"])
        let list = try await driver.send(.get, "/api/presence?limit=2", as: "a2:Kehu").json
        #expect(list["next_cursor"] as? String == "a2")
        #expect(try await driver.users("/api/presence?limit=2", as: "a2:Kehu") == ["a1", "a2"])
        let rest = try await driver.send(.get, "/api/presence?limit=2&cursor=a2", as: "a2:Kehu").json
        #expect(rest["next_cursor"] == nil)
        #expect(try await driver.users("/api/presence?limit=2&cursor=a2", as: "a2:Kehu") == ["a3", "a4"])
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
        #expect(try await driver.send(.put, "/api/presence/me", as: "guest-1:Kehu", #"{"status":"Away"}"#).status == 200)
        #expect(try await driver.users("/api/presence/me", as: "guest-1:Kehu", "status") == ["Away"])
        #expect(try await driver.store.statuses() == [:])
    }

    @Test("who is offline is shown so, with the time they were last there; who does not exist is 404")
    func offline() async throws {
        let driver = try await RouteDriver(directory: [.agent("a1"), .customer("u1"), .agent("a2")])
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
