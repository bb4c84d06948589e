import Contracts
import Core
import Crypto
import HTTP
import ServiceKit
import Storage
import Transport

/// presence: who is online and where, their statuses, who serves which customer, and the news of all that.
///
/// Settings: see `PresenceConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum PresenceMain {
    static func main() async {
        await ServiceProcess.run("presence") { process in
            // 1. Configuration: file plus environment, every problem reported at once.
            let config = try PresenceConfig(process.settings)
            // 2. Store: opened and migrated before the port is bound. Who is online is not in it: gateways announce it.
            let database = try await PresenceSchema.open(path: config.databasePath)
            let store = SQLiteStatusStore(database)
            let feed = config.makeFeed()
            let routing = try await config.makeRouting(
                SQLiteRoutingStore(database),
                feed: feed,
                log: process.log,
                metrics: process.metrics
            )
            let presence = Presence(
                PresenceState(
                    limits: config.limits,
                    statuses: try await store.statuses(),
                    firstRegistration: config.firstRegistration(at: .now()),
                    now: .now()
                ),
                feed: feed,
                store: store,
                leaseMilliseconds: config.leaseMilliseconds,
                log: process.log,
                metrics: PresenceMetrics(process.metrics),
                clock: { Moment.now() },
                tellRouting: { routing.inbox.follow($0) }
            )
            process.background("routing") { await routing.run() }
            process.background("sweep") {
                await Sweeper(presence: presence, routing: routing, clock: { Moment.now() }).run()
            }
            // 3. Routes: the whole surface of the service, in reading order.
            let sessions = process.makeSessionVerifier()
            let directory = UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL))
            let keeper = CapacityKeeper(
                routing: routing,
                clock: { Moment.now() },
                lookUp: { try await directory.accounts($0) }
            )
            sessions.observe(onUserChanged: { keeper.userChanged($0) }, onReset: { keeper.reset() })
            process.background("capacities") { await keeper.run() }
            var router = Router()
            router.mount(
                PresenceRoutes(
                    presence: presence,
                    authenticate: { Caller(try await sessions.require($0)) },
                    lookUp: { try await directory.user($0, for: $1) }
                )
            )
            router.mount(InternalRoutes(presence: presence, clock: { Moment.now() }))
            router.mount(
                AssignmentRoutes(routing: routing, lookUp: { try await directory.accounts([$0], requestID: $1.id) })
            )
            // 4. Serve until SIGTERM or SIGINT; polls that wait are answered first, the store is closed last.
            let storeCheck = HealthCheck("store") { try await store.ping() }
            let server = try process.listen(
                at: SettingsCatalogue.presenceListen,
                router,
                checks: [sessions.healthCheck, storeCheck]
            )
            try await process.untilSignal(server) { presence.feed.close() }
            await presence.storeDepartures()
            await routing.stop()
            await database.close()
        }
    }
}
