import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Transport

/// gateway: WebSockets, the message log, delivery and history.
///
/// Settings: see `GatewayConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum GatewayMain {
    static func main() async {
        await ServiceProcess.run("gateway") { process in
            // 1. Configuration.
            let config = try GatewayConfig(process.settings)
            let metrics = GatewayMetrics(process.metrics)

            // 2. Store: the log, opened and migrated before the port is bound. What it commits goes to the shards.
            let relay = CommitRelay(audit: MessageAudit(log: process.log, metrics: metrics))
            let log = try SQLiteConversationLog(
                directory: config.logDirectory,
                intervalMilliseconds: config.commitIntervalMilliseconds,
                log: process.log,
                committed: { relay.committed($0) }
            )

            // 3. The other services, the shards, the routes.
            let sessions = process.makeSessionVerifier()
            let auth = process.makeClient("auth", SettingsCatalogue.authURL)
            let directory = UserDirectory(auth: auth)
            let gateway = makeGateway(process, config, metrics, log, directory)
            relay.connect(gateway.gateway)
            let watch = SessionWatch(auth: auth, sessions: sessions)
            follow(process, gateway, sessions, watch)
            var router = Router()
            router.mount(
                HandshakeRoute(gateway: gateway.gateway, sessions: sessions, origins: OriginPolicy(process.settings))
            )
            router.mount(MessageRoutes(log: log, sessions: sessions, directory: directory))
            router.mount(try ConfigRoutes(process.settings, limits: config.limits))

            // 4. Serve until SIGTERM or SIGINT; then close the sockets, commit the rest, and end.
            let server = try process.listen(
                at: SettingsCatalogue.gatewayListen,
                router,
                checks: [sessions.healthCheck, HealthCheck("log") { try await log.check() }]
            ) { configuration in
                // WebSockets are counted by themselves; this bounds handshakes and REST.
                configuration.connectionsMax = config.limits.connectionsMax + 256
            }
            try await process.untilSignal(server) {
                await gateway.presence.drain()
                await gateway.gateway.drain(over: config.drainSpread)
                await gateway.presence.end()
            }
            await log.close()
        }
    }

    private struct Parts: Sendable {
        let gateway: Gateway
        let presence: PresenceLink
    }

    private static func makeGateway(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ metrics: GatewayMetrics,
        _ log: any ConversationLog,
        _ directory: UserDirectory
    ) -> Parts {
        let admission = AdmissionControl(
            connectionsMax: config.limits.connectionsMax,
            perAddressMax: config.limits.connectionsPerAddressMax
        )
        let presence = PresenceLink(
            client: process.makeClient("presence", SettingsCatalogue.presenceURL),
            registration: .init(gatewayID: config.gatewayID, url: config.url, incarnation: Incarnation.make()),
            connections: { admission.total }
        )
        let fileGrants = FileGrants(files: process.makeClient("files", SettingsCatalogue.filesURL))
        let userConnections = UserConnections(perUserMax: config.limits.connectionsPerUserMax)
        let gateway = Gateway(loops: process.loops, admission: admission) { index, loop in
            GatewayShard(
                index: index,
                loop: loop,
                log: log,
                limits: config.limits,
                metrics: metrics,
                admission: admission,
                userConnections: userConnections,
                directory: directory,
                fileGrants: fileGrants,
                presence: presence
            )
        }
        return Parts(gateway: gateway, presence: presence)
    }

    /// What goes on beside the sockets: presence both ways, and the ends of sessions.
    private static func follow(
        _ process: ServiceProcess,
        _ parts: Parts,
        _ sessions: SessionVerifier,
        _ watch: SessionWatch
    ) {
        let gateway = parts.gateway
        sessions.observe(
            onRevoked: { gateway.sessionRevoked(hash: $0.sessionHash, replacedBy: $0.replacedBy) },
            onReset: { watch.doubtAll() }
        )
        gateway.onEachLoop { shard in shard.onExpired = { watch.doubt($0) } }
        process.background("session_watch") { await watch.run(gateway) }
        process.background("presence") {
            await parts.presence.run(
                onChanges: { gateway.tellAgents($0) },
                onRefused: { users in gateway.onEachLoop { $0.close(users: users, .overload) } }
            )
        }
    }
}
