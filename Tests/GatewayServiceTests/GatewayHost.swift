import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Synchronization
import TestSupport
import Testing
import Transport

@testable import GatewayService

/// What a gateway under test stands on: a process and a server of its own, with a door where who connects says who they
/// are; who begins with `a` is an agent.
final class GatewayHost: Sendable {
    let log = Log(service: "test", level: .error, descriptor: -1)
    let process: ServiceProcess
    let metrics: GatewayMetrics
    /// Its clock stands still, so that a test's failed handshakes do not depend on how fast it makes them.
    let admission = AdmissionControl(connectionsMax: 100, perAddressMax: 100, perSecond: 100_000, now: { 0 })
    private let server: ListeningServer
    private let door: Door

    /// Lets the routes find the gateway, which exists only after them.
    final class Door: Sendable {
        private let connected = Mutex<Gateway?>(nil)

        func connect(_ gateway: Gateway) { connected.withLock { $0 = gateway } }

        var gateway: Gateway { get throws { try #require(connected.withLock { $0 }) } }

        fileprivate func open(_ request: Request) throws -> Response {
            let gateway = try gateway
            let user = request.query["user"] ?? ""
            try gateway.admission.enter(request.remoteAddress)
            let handshake = VerifiedHandshake(
                identity: Identity(userID: user, userName: user, userType: user.hasPrefix("a") ? .agent : .customer),
                remoteAddress: request.remoteAddress,
                sessionHash: user,
                expiresAt: Timestamp.now().advanced(byMilliseconds: 3_600_000),
                accountMark: gateway.directory.mark,
                awaitsSync: request.query["sync"] == "1"
            )
            return Response(101, body: .upgrade(StreamUpgrade(take: { gateway.attach($0, handshake) })))
        }
    }

    /// - Parameter addRoutes: Adds the test's own routes.
    init(_ addRoutes: (inout Router, Door, GatewayMetrics) -> Void) throws {
        process = try ServiceProcess(
            "gateway",
            settings: Settings.development(["gateway.listen": "127.0.0.1:0"]),
            log: log
        )
        let metrics = GatewayMetrics(process.metrics)
        self.metrics = metrics
        let door = Door()
        self.door = door
        var router = Router()
        router.add(.get, "/door") { try door.open($0) }
        addRoutes(&router, door, metrics)
        server = try process.listen(at: SettingsCatalogue.gatewayListen, router) { configuration in
            // Of hundreds of tests that run at once each gets its turn when it does.
            configuration.headerTimeout = .seconds(300)
        }
    }

    var url: String { "http://\(server.address)" }

    /// A client of the services whose stubs are there.
    func client(_ name: String, at url: String) throws -> InternalClient {
        process.makeClient(name, try #require(BaseURL(parsing: url)))
    }

    /// The gateway, behind the door from here on.
    ///
    /// - Parameter client: Asks the stubs of the other services.
    func makeGateway(
        _ log: any ConversationLog,
        _ client: InternalClient,
        presence: any PresenceReporting,
        sessions: SessionVerifier,
        fileGrants: FileGrants,
        audit: AuditLink,
        peers: PeerLink? = nil,
        limits: GatewayLimits = GatewayLimits(connectionsMax: 100),
        wallClock: @escaping @Sendable () -> Timestamp = { .now() }
    ) -> Gateway {
        let shared = GatewayShard.Shared(
            log: log,
            limits: limits,
            metrics: metrics,
            admission: admission,
            userConnections: UserConnections(perUserMax: 10),
            directory: UserDirectory(auth: client),
            fileGrants: fileGrants,
            presence: presence,
            people: PresenceDirectory(presence: client),
            queue: QueueBoard(),
            entrance: SessionEntrance(sessions: sessions),
            audit: audit,
            peers: peers,
            wallClock: wallClock
        )
        let gateway = Gateway(loops: process.loops, shared: shared)
        door.connect(gateway)
        return gateway
    }

    /// A relay of commits to the gateway and its outbox.
    func makeRelay() -> CommitRelay { CommitRelay(audit: MessageAudit(log: log, metrics: metrics)) }

    /// The value of a metric; -1 without it.
    func metric(_ name: String) -> Int {
        let line = process.metrics.text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
    }

    /// Connects to a route of the gateway's.
    func connect(_ target: String, isHandshake: Bool = false) async throws -> SocketClient {
        try await SocketClient(port: server.address.port, target: target, isHandshake: isHandshake)
    }

    /// Opens a device of a user's.
    func device(_ user: String, awaitsSync: Bool = false) async throws -> Device {
        Device(socket: try await connect("/door?user=\(user)&sync=\(awaitsSync ? 1 : 0)"))
    }

    /// Ends it; nobody is told anything.
    func close() async {
        await process.tearDown()
        try? door.gateway.onEachLoop { $0.endDrain() }
        await server.server.drain(grace: .seconds(5))
        process.loops.shutDown()
    }
}
