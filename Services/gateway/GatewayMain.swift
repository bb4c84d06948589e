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
        await ServiceProcess.run("gateway", commands: [.importLog]) { process in
            // 1. Configuration.
            let config = GatewayConfig(process.settings)
            let metrics = GatewayMetrics(process.metrics)

            // 2. Store: the log, opened and migrated before the port is bound. What it commits goes to the shards.
            let relay = CommitRelay(audit: MessageAudit(log: process.log, metrics: metrics))
            let log = try openLog(process, config, relay)
            // In Redis it has to be whole: what an import has not brought to its end is refused.
            try await process.whenStoreAnswers(listeningAt: SettingsCatalogue.gatewayListen) { try await log.check() }

            // 3. The other services, the shards, the routes.
            let sessions = process.makeSessionVerifier()
            let directory = UserDirectory(auth: process.makeClient("auth", SettingsCatalogue.authURL))
            let parts = makeParts(process, config, metrics, log, directory, sessions)
            relay.connect(parts.gateway, parts.outbox)
            follow(process, config, parts, sessions)
            let router = try makeRouter(process, config, parts, sessions, log, directory, metrics)

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
                await parts.presence.drain()
                await parts.gateway.drain(over: config.drainSpread)
                await parts.peers?.flush(within: hintPatience)
                await parts.presence.end()
            }
            await log.close()
            await parts.audit.flush(within: auditPatience)
        }
    }

    /// How long a stop waits for auth to take what it was not told yet.
    private static let auditPatience = Duration.seconds(2)
    /// How long it waits for other gateways to be told of the last entries; then they find them when they hear that it
    /// is gone.
    private static let hintPatience = Duration.seconds(1)

    /// The engine that the setting `store` chooses.
    private static func openLog(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ relay: CommitRelay
    ) throws -> any ConversationLog {
        switch config.store {
        case .sqlite(let directory):
            try SQLiteConversationLog(
                directory: LogFiles.directory(in: directory),
                intervalMilliseconds: config.commitIntervalMilliseconds,
                log: process.log,
                committed: { relay.committed($0) },
                moved: { relay.moved($0) }
            )
        case .redis(let url):
            try RedisConversationLog(
                url,
                intervalMilliseconds: config.commitIntervalMilliseconds,
                log: process.log,
                committed: { relay.committed($0) },
                moved: { relay.moved($0) }
            )
        }
    }

    private struct Parts: Sendable {
        let gateway: Gateway
        let presence: PresenceLink
        let outbox: OutboxLink
        let audit: AuditLink
        let peers: PeerLink?
    }

    private static func makeParts(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ metrics: GatewayMetrics,
        _ log: any ConversationLog,
        _ directory: UserDirectory,
        _ sessions: SessionVerifier
    ) -> Parts {
        let admission = AdmissionControl(
            connectionsMax: config.limits.connectionsMax,
            perAddressMax: config.limits.connectionsPerAddressMax,
            perSecond: config.handshakesPerSecond
        )
        let presenceClient = process.makeClient("presence", SettingsCatalogue.presenceURL)
        let presence = PresenceLink(
            client: presenceClient,
            registration: .init(gatewayID: config.gatewayID, url: config.url, incarnation: Incarnation.make()),
            connections: { admission.total }
        )
        let fileGrants = FileGrants(files: process.makeClient("files", SettingsCatalogue.filesURL))
        let audit = AuditLink(
            auth: process.makeClient("auth", SettingsCatalogue.authURL),
            log: process.log,
            metrics: metrics
        )
        let peers = config.isLogShared ? makePeers(process, config, metrics, presenceClient) : nil
        let gateway = Gateway(
            loops: process.loops,
            shared: .init(
                log: log,
                limits: config.limits,
                metrics: metrics,
                admission: admission,
                userConnections: UserConnections(perUserMax: config.limits.connectionsPerUserMax),
                directory: directory,
                fileGrants: fileGrants,
                presence: presence,
                people: PresenceDirectory(presence: presenceClient),
                queue: QueueBoard(),
                entrance: SessionEntrance(sessions: sessions),
                audit: audit,
                peers: peers
            )
        )
        let outbox = OutboxLink(
            log: log,
            presence: presenceClient,
            fileGrants: fileGrants,
            isAlone: { peers?.isAlone ?? true },
            onQueued: { gateway.tell($0) }
        )
        return Parts(gateway: gateway, presence: presence, outbox: outbox, audit: audit, peers: peers)
    }

    private static func makePeers(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ metrics: GatewayMetrics,
        _ presence: InternalClient
    ) -> PeerLink {
        PeerLink(gatewayID: config.gatewayID, presence: presence, metrics: metrics) {
            process.makeClient("gateway", $0)
        }
    }

    private static func makeRouter(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ parts: Parts,
        _ sessions: SessionVerifier,
        _ log: any ConversationLog,
        _ directory: UserDirectory,
        _ metrics: GatewayMetrics
    ) throws -> Router {
        var router = Router()
        router.mount(HandshakeRoute(gateway: parts.gateway, origins: OriginPolicy(process.settings)))
        router.mount(MessageRoutes(log: log, sessions: sessions, directory: directory, audit: parts.audit))
        router.mount(ConversationRoutes(log: log, outbox: parts.outbox, sessions: sessions))
        router.mount(try ConfigRoutes(process.settings, limits: config.limits))
        router.mount(ClientLogRoutes(log: process.log, metrics: metrics, limit: ClientLogLimit()))
        router.mount(PeerRoutes(gateway: parts.gateway, metrics: metrics))
        return router
    }

    /// What goes on beside the sockets: presence both ways, routing, and the ends of sessions.
    private static func follow(
        _ process: ServiceProcess,
        _ config: GatewayConfig,
        _ parts: Parts,
        _ sessions: SessionVerifier
    ) {
        let (gateway, outbox) = (parts.gateway, parts.outbox)
        let auth = process.makeClient("auth", SettingsCatalogue.authURL)
        let watch = SessionWatch(auth: auth, sessions: sessions)
        watch.keep(gateway)
        process.background("session_watch") { await watch.run(gateway) }
        process.background("audit") { await parts.audit.run() }
        process.background("outbox") { await outbox.run() }
        if let peers = parts.peers { process.background("peers") { await peers.run() } }
        process.background("presence_news") { await gateway.publishNews(every: config.presenceInterval) }
        process.background("presence") {
            await parts.presence.run(
                .init(
                    onChanges: { gateway.note($0) },
                    onDecisions: { outbox.append($0) },
                    onQueue: { gateway.tell($0) },
                    onRefused: { users in gateway.onEachLoop { $0.close(users: users, .overload) } },
                    onJoined: { gateway.joined($0) },
                    onRegistered: { gateway.heard($0, sentAt: $1) }
                )
            )
        }
    }
}
