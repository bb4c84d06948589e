import Contracts
import Core
import Foundation
import HTTP
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import PresenceService

/// The service's routes without sockets, on a real store in a directory of its own, with the tests' own clock.
final class RouteDriver: Sendable {
    let presence: Presence
    let store: SQLiteStatusStore
    let metrics: PresenceMetrics
    let router: Router
    private let holder: ClockHolder
    private let files: TemporaryDirectory

    /// - Parameter accounts: The users of auth, who need not be online.
    init(limits: PresenceState.Limits = .init(), accounts: [PresenceTable.Identity] = []) async throws {
        let directory = try TemporaryDirectory()
        let store = try await SQLiteStatusStore.open(path: directory.file("presence.sqlite"))
        let holder = ClockHolder()
        let metrics = PresenceMetrics(Metrics(includesProcess: false))
        let clock: @Sendable () -> Moment = { holder.now }
        let presence = Presence(
            PresenceState(limits: limits, firstRegistration: 100, now: .start),
            feed: ChangeFeed(ChangeHistory(epoch: "epoch", changesMax: 100)) {},
            store: store,
            leaseMilliseconds: 2000,
            log: Log(service: "presence", level: .error),
            metrics: metrics,
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
                lookUp: { userID, _ in accounts.first { $0.userID == userID } }
            )
        )
        router.mount(InternalRoutes(presence: presence, clock: clock))
        self.router = router
        self.presence = presence
        self.store = store
        files = directory
        self.metrics = metrics
        self.holder = holder
    }

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
        await presence.storeDepartures()
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
