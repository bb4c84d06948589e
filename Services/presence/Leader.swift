import Core
import HTTP
import ServiceKit
import Storage

/// All that presence does while it is this process that does it: for ever on a file of its own, for a term where
/// several instances share a database.
///
/// What is in memory begins and ends with it. To gateways a new one is a restarted presence: another epoch, whereupon
/// they announce again, and graces that begin anew (DESIGN R3, R11).
struct Leader: Sendable {
    /// What outlives it.
    struct Surroundings: Sendable {
        let config: PresenceConfig
        let database: Database
        let sessions: SessionVerifier
        let directory: UserDirectory
        let log: Log
        let presenceMetrics: PresenceMetrics
        let routingMetrics: RoutingMetrics
    }

    let keeper: CapacityKeeper
    /// The whole surface of the service.
    let router: Router
    private let presence: Presence
    private let routing: Routing
    private let sweeper: Sweeper
    private let surroundings: Surroundings

    /// Begins with what the database has.
    ///
    /// - Parameters:
    ///   - surroundings: What it works with.
    ///   - firstRegistration: Past all registration numbers that were ever given.
    ///   - lease: Of a term; `nil` on a file of its own.
    /// - Throws: What the database throws.
    init(_ surroundings: Surroundings, firstRegistration: Int, lease: LeaderLease? = nil) async throws {
        self.surroundings = surroundings
        let config = surroundings.config
        let clock: @Sendable () -> Moment = { .now() }
        let fence = lease.map(Fence.leader) ?? .none
        let store = SQLiteStatusStore(surroundings.database, fence: fence)
        let feed = config.makeFeed()
        let routing = try await config.makeRouting(
            SQLiteRoutingStore(surroundings.database, fence: fence),
            feed: feed,
            log: surroundings.log,
            metrics: surroundings.routingMetrics
        )
        self.routing = routing
        presence = Presence(
            PresenceState(
                limits: config.limits,
                statuses: try await store.statuses(),
                firstRegistration: firstRegistration,
                now: clock()
            ),
            feed: feed,
            store: store,
            leaseMilliseconds: config.leaseMilliseconds,
            log: surroundings.log,
            metrics: surroundings.presenceMetrics,
            clock: clock,
            tellRouting: { routing.inbox.follow($0) }
        )
        sweeper = Sweeper(
            presence: presence,
            routing: routing,
            clock: clock,
            letsTimePass: { lease?.letsTimePass ?? true }
        )
        let directory = surroundings.directory
        keeper = CapacityKeeper(routing: routing, clock: clock, lookUp: { try await directory.accounts($0) })
        router = Self.makeRouter(surroundings, presence, routing, clock)
    }

    private static func makeRouter(
        _ surroundings: Surroundings,
        _ presence: Presence,
        _ routing: Routing,
        _ clock: @escaping @Sendable () -> Moment
    ) -> Router {
        let (sessions, directory) = (surroundings.sessions, surroundings.directory)
        var router = Router()
        router.mount(
            PresenceRoutes(
                presence: presence,
                authenticate: { Caller(try await sessions.require($0)) },
                lookUp: { try await directory.user($0, for: $1) }
            )
        )
        router.mount(InternalRoutes(presence: presence, clock: clock))
        router.mount(
            AssignmentRoutes(routing: routing, lookUp: { try await directory.accounts([$0], requestID: $1.id) })
        )
        return router
    }

    /// Works until cancelled, or until routing is stopped.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await routing.run() }
            group.addTask { await sweeper.run() }
            group.addTask { await keeper.run() }
        }
    }

    /// Answers the long polls; from here on none waits.
    func answerPolls() { presence.feed.close() }

    /// Stores what is to be stored, and returns when nothing is being stored any more.
    func finish() async {
        await presence.storeDepartures()
        await routing.stop()
        surroundings.presenceMetrics.clear()
        surroundings.routingMetrics.clear()
    }
}
