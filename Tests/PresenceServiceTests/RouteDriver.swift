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
    let routing: Routing
    let routingStore: SQLiteRoutingStore
    let keeper: CapacityKeeper
    let metrics: PresenceMetrics
    let allMetrics: Metrics
    let router: Router
    private let holder: ClockHolder
    private let files: TemporaryDirectory
    private let loop: Task<Void, Never>

    /// - Parameters:
    ///   - accounts: The users of auth, who need not be online.
    ///   - capacities: What their accounts say; the default for those who are not in it.
    ///   - queueInterval: The least span between two queues shown.
    ///   - directory: Where the store is; one of its own when left out.
    init(
        limits: PresenceState.Limits = .init(),
        routingLimits: RoutingTable.Limits = .init(),
        accounts: [PresenceTable.Identity] = [],
        capacities: [String: Int] = [:],
        queueInterval: Milliseconds = 0,
        in directory: TemporaryDirectory? = nil
    ) async throws {
        let directory = try directory ?? TemporaryDirectory()
        let database = try await PresenceSchema.open(path: directory.file("presence.sqlite"))
        let store = SQLiteStatusStore(database)
        let routingStore = SQLiteRoutingStore(database)
        let holder = ClockHolder()
        let allMetrics = Metrics(includesProcess: false)
        let metrics = PresenceMetrics(allMetrics)
        let clock: @Sendable () -> Moment = { holder.now }
        let feed = ChangeFeed(ChangeHistory(epoch: "epoch", changesMax: 100), now: { holder.now.monotonic }) {}
        let log = Log(service: "presence", level: .error)
        let ids = Atomic(0)
        let routing = Routing(
            RoutingTable(limits: routingLimits, live: try await routingStore.liveConversations(), now: .start) {
                "r-\(ids.add(1, ordering: .relaxed).newValue)"
            },
            store: routingStore,
            feed: feed,
            queueInterval: queueInterval,
            log: log,
            metrics: RoutingMetrics(allMetrics),
            clock: clock
        )
        let presence = Presence(
            PresenceState(limits: limits, firstRegistration: 100, now: .start),
            feed: feed,
            store: store,
            leaseMilliseconds: 2000,
            log: log,
            metrics: metrics,
            clock: clock,
            tellRouting: { routing.inbox.follow($0) }
        )
        var router = Router()
        router.mount(Self.presenceRoutes(presence, accounts))
        router.mount(InternalRoutes(presence: presence, clock: clock))
        let lookUp = Self.lookUp(accounts, capacities)
        router.mount(AssignmentRoutes(routing: routing, lookUp: { userID, _ in lookUp([userID]) }))
        keeper = CapacityKeeper(routing: routing, clock: clock, lookUp: { lookUp($0) })
        loop = Task { await routing.run() }
        self.routing = routing
        self.routingStore = routingStore
        self.allMetrics = allMetrics
        self.router = router
        self.presence = presence
        self.store = store
        files = directory
        self.metrics = metrics
        self.holder = holder
    }

    deinit { loop.cancel() }

    private static func presenceRoutes(_ presence: Presence, _ accounts: [PresenceTable.Identity]) -> PresenceRoutes {
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
    }

    private static func lookUp(
        _ accounts: [PresenceTable.Identity],
        _ capacities: [String: Int]
    ) -> @Sendable ([String]) -> [UserSummary] {
        { userIDs in
            accounts.filter { userIDs.contains($0.userID) }.map {
                UserSummary(
                    userID: $0.userID,
                    userName: $0.userName,
                    userType: $0.userType,
                    disabled: false,
                    capacity: capacities[$0.userID]
                )
            }
        }
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
            await settle()
        }
        await presence.storeDepartures()
    }

    /// Has routing hear of all that has happened to agents, and of their accounts.
    func settle() async {
        await routing.inbox.sweep()
        await keeper.ask()
        await routing.inbox.sweep()
    }

    /// A customer's message that needs an agent.
    @discardableResult
    func need(_ customerID: String, seq: Int = 1) async -> [String: any Sendable] {
        let customer = #""conversation_id":"c:\#(customerID)","customer_id":"\#(customerID)""#
        let body = #"{\#(customer),"seq":\#(seq),"requested_by":"\#(customerID)","requester_type":"Kehu"}"#
        return (try? await send(.post, "/internal/assignments", body).json) ?? [:]
    }

    /// `queued`, `open` or `closed`.
    func state(_ customerID: String) async -> String {
        let json = try? await send(.get, "/internal/assignments/c:\(customerID)").json
        return (json?["answer"] as? [String: any Sendable])?["state"] as? String ?? "unknown"
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
    func announce(_ gatewayID: String, incarnation: String = "a", _ users: [String]) async throws -> Int {
        let heartbeat = #"{"url":"http://h:1","incarnation":"\#(incarnation)","connections":1,"draining":false}"#
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
