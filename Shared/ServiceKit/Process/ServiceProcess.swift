package import Core
package import HTTP
package import Net
import Synchronization
package import Transport

/// What every service's `main` has: settings, log, metrics, event loops, a client for the other services, background
/// tasks, and the end on a signal.
///
/// ```swift
/// await ServiceProcess.run("presence") { process in
///     let sessions = process.makeSessionVerifier()
///     var router = Router()
///     router.mount(PresenceRoutes(sessions))
///     let server = try process.listen(at: SettingsCatalogue.presenceListen, router, checks: [sessions.healthCheck])
///     try await process.untilSignal(server)
/// }
/// ```
package final class ServiceProcess: Sendable {
    package let name: String
    package let settings: Settings
    package let log: Log
    package let metrics: Metrics
    package let loops: EventLoopGroup
    /// The connections to the other services.
    package let http: HTTPClient
    let stop = StopRequest()
    private let tasks = Mutex<[Task<Void, Never>]>([])

    /// - Parameters:
    ///   - name: The executable's name, in every log line.
    ///   - settings: The checked settings.
    ///   - log: Left out: on stderr, at the settings' level.
    /// - Throws: `SystemCallError` when the kernel gives no event loop.
    package init(_ name: String, settings: Settings, log: Log? = nil) throws(SystemCallError) {
        self.name = name
        self.settings = settings
        self.log = log ?? Log(service: name, level: settings[SettingsCatalogue.logLevel])
        metrics = Metrics()
        loops = try EventLoopGroup(count: settings[SettingsCatalogue.httpLoopThreads])
        http = HTTPClient(loops: loops)
    }

    // MARK: - Other services

    /// A client for another service's internal routes.
    ///
    /// - Parameters:
    ///   - service: Its name, in errors and metrics.
    ///   - url: The setting that says where it is.
    /// - Returns: The client, with a circuit of its own.
    package func makeClient(_ service: String, _ url: Setting<BaseURL>) -> InternalClient {
        makeClient(service, settings[url])
    }

    /// A client for a service at an address that is not a setting, such as another gateway.
    package func makeClient(_ service: String, _ url: BaseURL) -> InternalClient {
        InternalClient(
            service,
            url: url,
            token: settings[SettingsCatalogue.internalToken],
            http: http,
            log: log,
            metrics: metrics
        )
    }

    /// A verifier of sessions whose feed is followed until the process stops; one per process is enough.
    package func makeSessionVerifier() -> SessionVerifier {
        let sessions = SessionVerifier(auth: makeClient("auth", SettingsCatalogue.authURL), log: log, metrics: metrics)
        background("session_feed") { await sessions.follow() }
        return sessions
    }

    // MARK: - Background tasks

    /// Runs `work` until it ends or the process stops, when it is cancelled and waited for.
    ///
    /// Work that throws, other than because it was cancelled, stops the process with status 1.
    package func background(_ what: String, _ work: @escaping @concurrent @Sendable () async throws -> Void) {
        let task = Task { [self] in
            do {
                try await work()
            } catch {
                guard !Task.isCancelled else { return }
                log.error("background_failed", ["task": .string(what), "error": .string(String(reflecting: error))])
                stop.request(failure: "\(what): \(error)")
            }
        }
        tasks.withLock { $0.append(task) }
    }

    // MARK: - Serving

    /// Whether the process is stopping.
    package var isDraining: Bool { stop.isRequested }

    /// Serves `router`, with `/healthz`, `/readyz` and `/metrics`, behind the chain that all services have.
    ///
    /// The chain is request log, CORS, internal guard.
    ///
    /// - Parameters:
    ///   - address: The setting that says where.
    ///   - router: The service's routes.
    ///   - checks: The dependencies without which it is not ready.
    ///   - configure: Changes the server's limits and time-outs.
    /// - Returns: The server, listening.
    /// - Throws: `SystemCallError` naming the call and the address.
    package func listen(
        at address: Setting<HostPort>,
        _ router: Router,
        checks: [HealthCheck] = [],
        configure: (inout HTTPServerConfiguration) -> Void = { _ in }
    ) throws -> ListeningServer {
        let listening = try startServer(at: address, router, checks: checks, configure: configure)
        let server = listening.server
        metrics.read("http_connections_open", help: "Connections that speak HTTP.") { [weak server] in
            Double(server?.openConnections ?? 0)
        }
        log.info(
            "started",
            [
                "version": .string(StackVersion.text), "address": .string(listening.address.description),
                "environment": .string(settings[SettingsCatalogue.environment].rawValue),
                "loop_threads": .int(loops.loops.count),
            ]
        )
        return listening
    }

    /// What `listen` does, without a word.
    func startServer(
        at address: Setting<HostPort>,
        _ router: Router,
        checks: [HealthCheck],
        configure: (inout HTTPServerConfiguration) -> Void = { _ in }
    ) throws -> ListeningServer {
        guard let numeric = settings[address].numeric else {
            throw SettingsError(problems: [
                .init(key: address.key, value: settings[address].description, rule: "must be \(address.rule)")
            ])
        }
        var configuration = HTTPServerConfiguration(address: numeric)
        configuration.connectionsMax = settings[SettingsCatalogue.httpConnectionsMax]
        // The settings have checked each of them.
        configuration.trustedProxies =
            TrustedProxies(settings[SettingsCatalogue.httpTrustedProxies]) ?? TrustedProxies()
        configure(&configuration)
        let server = HTTPServer(
            configuration: configuration,
            loops: loops,
            log: log,
            responder: makeResponder(router, checks: checks)
        )
        return ListeningServer(server: server, address: try server.start())
    }

    /// What `listen` serves, for tests without sockets.
    package func makeResponder(_ router: Router, checks: [HealthCheck] = []) -> Responder {
        var router = router
        router.mount(HealthRoutes(metrics: metrics, checks: checks, isDraining: { [stop] in stop.isRequested }))
        let log = log
        router.onError = { error, request in
            log.error(
                "request_failed",
                ["request_id": .string(request.id), "error": .string(String(reflecting: error))]
            )
        }
        let routed = router
        let guarded = InternalGuard(token: settings[SettingsCatalogue.internalToken]).wrap { request in
            routed.reply(to: request)
        }
        return RequestLog(log: log, metrics: metrics).wrap(CORS(OriginPolicy(settings)).wrap(guarded))
    }

    /// Serves until SIGTERM, SIGINT or a background task's failure, then drains.
    ///
    /// - Parameters:
    ///   - server: No longer accepts, and finishes the requests in progress within the grace period of the settings.
    ///   - beforeDrain: Runs first, new requests still being answered; for what must be told that this is the end.
    /// - Throws: `BackgroundFailure`.
    package func untilSignal(
        _ server: ListeningServer,
        beforeDrain: @concurrent @Sendable () async -> Void = {}
    ) async throws {
        await stop.wait()
        log.info("draining")
        await beforeDrain()
        await server.server.drain(grace: settings[SettingsCatalogue.shutdownGrace])
        if let failure = stop.failure { throw BackgroundFailure(description: failure) }
    }

    /// A background task failed, and the process stops because of it.
    package struct BackgroundFailure: Error, CustomStringConvertible {
        package let description: String
    }

    /// Asks for the stop that a signal asks for.
    package func requestStop() { stop.request() }

    /// Cancels the background tasks and waits for them, then closes the connections to other services.
    package func tearDown() async {
        let running = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in running { task.cancel() }
        for task in running { await task.value }
        await http.shutDown()
    }
}
