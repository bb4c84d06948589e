import Contracts
import Core
import Crypto
import HTTP
import ServiceKit
import Transport

/// presence: who is online and where, their statuses, and the news of both.
///
/// Settings: see `PresenceConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum PresenceMain {
    static func main() async {
        await ServiceProcess.run("presence") { process in
            // 1. Configuration: file plus environment, every problem reported at once.
            let config = try PresenceConfig(process.settings)
            // 2. Store: opened and migrated before the port is bound. Who is online is not in it: gateways announce it.
            let store = try await SQLiteStatusStore.open(path: config.databasePath)
            let presence = Presence(
                PresenceState(
                    limits: config.limits,
                    statuses: try await store.statuses(),
                    firstRegistration: config.firstRegistration(at: .now()),
                    now: .now()
                ),
                feed: config.makeFeed(),
                store: store,
                leaseMilliseconds: config.leaseMilliseconds,
                log: process.log,
                metrics: PresenceMetrics(process.metrics),
                clock: { Moment.now() }
            )
            process.background("sweep") { await Sweeper(presence: presence, clock: { Moment.now() }).run() }
            // 3. Routes: the whole surface of the service, in reading order.
            let sessions = process.makeSessionVerifier()
            let directory = UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL))
            var router = Router()
            router.mount(
                PresenceRoutes(
                    presence: presence,
                    authenticate: { Caller(try await sessions.require($0)) },
                    lookUp: { try await directory.user($0, for: $1) }
                )
            )
            router.mount(InternalRoutes(presence: presence, clock: { Moment.now() }))
            // 4. Serve until SIGTERM or SIGINT; polls that wait are answered first, the store is closed last.
            let storeCheck = HealthCheck("store") { try await store.ping() }
            let server = try process.listen(
                at: SettingsCatalogue.presenceListen,
                router,
                checks: [sessions.healthCheck, storeCheck]
            )
            try await process.untilSignal(server) { presence.feed.close() }
            await presence.storeDepartures()
            await store.close()
        }
    }
}
