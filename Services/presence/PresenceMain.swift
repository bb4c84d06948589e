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
        await ServiceProcess.run("presence", commands: [importCommand]) { process in
            // 1. Configuration: file plus environment, every problem reported at once.
            let config = try PresenceConfig(process.settings)
            // 2. Store: opened and migrated before the port is bound. Who is online is not in it: gateways announce it.
            let database = try await process.openDatabase(
                PresenceSchema.name,
                file: PresenceSchema.file,
                migrations: PresenceSchema.migrations,
                ownership: PresenceSchema.ownership,
                waitingAt: SettingsCatalogue.presenceListen
            )
            let surroundings = Leader.Surroundings(
                config: config,
                database: database,
                sessions: process.makeSessionVerifier(),
                directory: UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL)),
                log: process.log,
                presenceMetrics: PresenceMetrics(process.metrics),
                routingMetrics: RoutingMetrics(process.metrics)
            )
            // 3. Serve until SIGTERM or SIGINT; the store is closed last.
            switch process.settings[SettingsCatalogue.store] {
            case .sqlite: try await serveAlone(process, surroundings)
            case .redis: try await serveAmongOthers(process, surroundings)
            }
            await database.close()
        }
    }

    private static let importCommand = ServiceCommand.importSQLite(
        PresenceSchema.name,
        file: PresenceSchema.file,
        migrations: PresenceSchema.migrations
    )

    /// On a file of its own: this process is presence.
    private static func serveAlone(_ process: ServiceProcess, _ surroundings: Leader.Surroundings) async throws {
        let leader = try await Leader(
            surroundings,
            firstRegistration: surroundings.config.firstRegistration(at: .now())
        )
        let keeper = leader.keeper
        surroundings.sessions.observe(onUserChanged: { keeper.userChanged($0) }, onReset: { keeper.reset() })
        process.background("presence") { await leader.run() }
        let server = try process.listen(
            at: SettingsCatalogue.presenceListen,
            leader.router,
            checks: checks(surroundings)
        )
        // Polls that wait are answered first.
        try await process.untilSignal(server) { leader.answerPolls() }
        await leader.finish()
    }

    /// On a copy of what several instances share: one of them leads, and the others hand on to it.
    private static func serveAmongOthers(_ process: ServiceProcess, _ surroundings: Leader.Surroundings) async throws {
        let config = surroundings.config
        let now: @Sendable () -> Milliseconds = { Moment.now().monotonic }
        let (loops, token) = (process.loops, process.settings[SettingsCatalogue.internalToken])
        let instance = Instance(
            store: SQLiteLeadershipStore(surroundings.database),
            url: config.url,
            log: process.log,
            now: now,
            firstRegistration: { config.firstRegistration(at: .now()) },
            makeForwarder: { Forwarder(to: $0, token: token, loops: loops, now: now) },
            makeLeader: { term, lease in
                try await Leader(surroundings, firstRegistration: term.firstRegistration, lease: lease)
            }
        )
        surroundings.sessions.observe(
            onUserChanged: { userID in instance.withKeeper { $0.userChanged(userID) } },
            onReset: { instance.withKeeper { $0.reset() } }
        )
        var router = Router()
        router.fallback = { try await instance.respond(to: $0) }
        let leaderCheck = HealthCheck("leader") { try instance.checkLeader() }
        let server = try process.listen(
            at: SettingsCatalogue.presenceListen,
            router,
            checks: checks(surroundings) + [leaderCheck]
        )
        let work = Task { await instance.run() }
        // Leadership is given up first, so that another instance has it while this one drains.
        try await process.untilSignal(server) {
            work.cancel()
            await work.value
        }
    }

    private static func checks(_ surroundings: Leader.Surroundings) -> [HealthCheck] {
        let database = surroundings.database
        return [
            surroundings.sessions.healthCheck,
            HealthCheck("store") { try await SQLiteStatusStore(database).ping() },
        ]
    }
}
