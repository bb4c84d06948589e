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

/// Several gateways with real sockets over one log, and a presence that is a stub.
final class GatewayCluster: Sendable {
    let log: SharedLog
    let presence: PresenceStub
    let nodes: [GatewayNode]

    /// - Parameters:
    ///   - directory: Where the log lies.
    ///   - count: How many gateways; they are called `g0`, `g1` and so on.
    init(_ directory: String, count: Int) async throws {
        let log = try SharedLog(directory)
        let presence = try PresenceStub()
        self.log = log
        self.presence = presence
        nodes = try (0..<count).map { try GatewayNode("g\($0)", log, presence) }
        let nodes = nodes
        try #require(await eventually { nodes.allSatisfy { presence.knows($0.id) } })
        // Until each has the others on its list.
        try #require(await eventually { nodes.allSatisfy { count == 1 ? $0.peers.isAlone : !$0.peers.isAlone } })
    }

    func close() async {
        presence.release()
        for node in nodes { await node.close() }
        await log.engine.close()
        await presence.close()
    }
}

/// One log under several gateways: what each appends and moves comes back to it, as from an engine of its own.
final class SharedLog: Sendable {
    let engine: SQLiteConversationLog
    private let ways: Ways

    private final class Ways: Sendable {
        struct State {
            var relays: [String: CommitRelay] = [:]
            var owners: [ObjectIdentifier: String] = [:]
            var movers: [String: String] = [:]
        }

        let state = Mutex(State())

        func committed(_ batches: Handover<[AppendBatch]>) {
            for batch in batches.value {
                let relay = state.withLock { state in
                    state.owners.removeValue(forKey: ObjectIdentifier(batch)).flatMap { state.relays[$0] }
                }
                relay?.committed(Handover([batch]))
            }
        }

        func moved(_ moves: [PositionMove]) {
            for move in moves {
                let relay = state.withLock { state in
                    state.movers["\(move.userID) \(move.conversationID)"].flatMap { state.relays[$0] }
                }
                relay?.moved([move])
            }
        }
    }

    init(_ directory: String) throws {
        let ways = Ways()
        self.ways = ways
        engine = try SQLiteConversationLog(
            directory: directory,
            intervalMilliseconds: 0,
            log: Log(service: "test", level: .error, descriptor: -1),
            committed: { ways.committed($0) },
            moved: { ways.moved($0) }
        )
    }

    /// What a gateway appends is told to it from here on; `nil`: to nobody, as after a crash.
    func connect(_ id: String, _ relay: CommitRelay?) { ways.state.withLock { $0.relays[id] = relay } }

    fileprivate func own(_ batch: AppendBatch, _ id: String) {
        ways.state.withLock { $0.owners[ObjectIdentifier(batch)] = id }
    }

    fileprivate func own(_ receipt: Receipt, of user: String, _ id: String) {
        ways.state.withLock { $0.movers["\(user) \(receipt.conversationID)"] = id }
    }

    func head(_ conversationID: String) async throws -> Int {
        try await engine.page(conversationID, .after(0), limit: 1, bytesMax: 1).head
    }
}

/// One gateway's view of the shared log; counts its reads.
final class NodeLog: ConversationLog {
    private let id: String
    private let shared: SharedLog
    private let engine: SQLiteConversationLog
    private let reads = Atomic(0)
    private let positionReads = Atomic(0)

    init(_ id: String, _ shared: SharedLog) {
        self.id = id
        self.shared = shared
        engine = shared.engine
    }

    var readCount: Int { reads.load(ordering: .relaxed) }
    var positionReadCount: Int { positionReads.load(ordering: .relaxed) }

    func append(_ batch: Handover<AppendBatch>) {
        shared.own(batch.value, id)
        engine.append(batch)
    }

    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?) {
        shared.own(receipt, of: user, id)
        engine.move(receipt, of: user, from: origin)
    }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int,
        bytesMax: Int,
        _ answer: @escaping @Sendable (Result<EntryPage, any Error>) -> Void
    ) {
        reads.add(1, ordering: .relaxed)
        engine.read(conversationID, range, limit: limit, bytesMax: bytesMax, answer)
    }

    func positions(
        of user: String,
        naming: [String],
        _ answer: @escaping @Sendable (Result<[MemberPosition], any Error>) -> Void
    ) {
        positionReads.add(1, ordering: .relaxed)
        engine.positions(of: user, naming: naming, answer)
    }

    func position(
        of user: String,
        in conversationID: String,
        _ answer: @escaping @Sendable (Result<MemberPosition?, any Error>) -> Void
    ) { engine.position(of: user, in: conversationID, answer) }

    func members(of conversationID: String, _ answer: @escaping @Sendable (Result<[String], any Error>) -> Void) {
        engine.members(of: conversationID, answer)
    }

    func conversations(
        _ query: ConversationQuery,
        _ answer: @escaping @Sendable (Result<ConversationPage, any Error>) -> Void
    ) { engine.conversations(query, answer) }

    func conversation(
        _ conversationID: String,
        for user: String,
        _ answer: @escaping @Sendable (Result<ConversationSummary?, any Error>) -> Void
    ) { engine.conversation(conversationID, for: user, answer) }

    func outbox(
        after number: Int64,
        limit: Int,
        _ answer: @escaping @Sendable (Result<[OutboxItem], any Error>) -> Void
    ) { engine.outbox(after: number, limit: limit, answer) }

    func settle(_ number: Int64) { engine.settle(number) }

    func check(_ answer: @escaping @Sendable (Result<Void, any Error>) -> Void) { engine.check(answer) }

    func close() async {}
}

/// Presence as gateways ask it, in real time.
final class PresenceStub: RouteGroup, Sendable {
    struct State {
        var world = PresenceWorld(lease: 300, silence: 1500)
        var isAway = false
        /// Gateways that presence does not hear, though they hear it.
        var cut: Set<String> = []
    }

    private let state = Mutex(State())
    private let process: ServiceProcess
    private let server: Mutex<ListeningServer?>
    private let gate: AsyncStream<Void>
    private let opener: AsyncStream<Void>.Continuation

    init() throws {
        process = try ServiceProcess(
            "presence",
            settings: Settings.development(["presence.listen": "127.0.0.1:0"]),
            log: Log(service: "test", level: .error, descriptor: -1)
        )
        server = Mutex(nil)
        (gate, opener) = AsyncStream.makeStream()
        var router = Router()
        router.mount(self)
        router.mount(PeerStub())
        let listening = try process.listen(at: SettingsCatalogue.presenceListen, router)
        server.withLock { $0 = listening }
    }

    var url: String { "http://\(server.withLock { $0?.address.description ?? "" })" }

    func set(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }

    func knows(_ gatewayID: String) -> Bool { state.withLock { $0.world.registration(of: gatewayID) != nil } }

    func users(of gatewayID: String) -> Set<String> { state.withLock { $0.world.users(of: gatewayID) } }

    /// Whoever waits for news goes without.
    func release() { opener.finish() }

    func close() async {
        await process.tearDown()
        if let listening = server.withLock({ $0 }) { await listening.server.drain(grace: .seconds(5)) }
        process.loops.shutDown()
    }

    func register(in router: inout Router) {
        router.add(.post, "/internal/gateways/{gateway_id}") { [self] request in
            let id = request.parameters["gateway_id"] ?? ""
            let asked = try await request.json(GatewayAnnouncement.self)
            return try Response.json(
                try answer(id) { world, now in
                    var answer = world.heartbeat(id, incarnation: asked.incarnation, url: asked.url, now: now)
                    guard asked.draining, asked.connections == 0 else { return answer }
                    world.end(id)
                    answer.registration = nil
                    return answer
                }
            )
        }
        router.add(.post, "/internal/events") { [self] request in
            let batch = try await request.json(PresenceEvents.self, upTo: 1 << 20)
            let isApplied = try answer(batch.gatewayID) { (world, now) -> Bool in
                (try? world.apply(batch, now: now)) != nil
            }
            guard isApplied else { throw Problem(409, .conflict, "announce again") }
            return try Response.json(PresenceEventsAnswer(acceptedThrough: batch.first + batch.events.count - 1))
        }
        router.add(.post, "/internal/locate") { [self] request in
            let asked = try await request.json(LocateRequest.self, upTo: 1 << 20)
            return try Response.json(try answer("") { world, now in world.locate(asked.userIDs, now: now) })
        }
        router.add(.get, "/internal/changes") { [gate] request in
            let isKnown = request.query["epoch"] == "e"
            if isKnown { for await _ in gate {} }
            return try Response.json(PresenceChangePage(epoch: "e", next: 1, reset: !isKnown, changes: []))
        }
        router.add(.get, "/internal/users") { _ in
            try Response.json(PresenceSnapshot(epoch: "e", next: 1, settled: true, users: [], nextCursor: nil))
        }
    }

    private func answer<Answer>(
        _ gatewayID: String,
        _ ask: (inout PresenceWorld, Int64) throws -> Answer
    ) throws -> Answer {
        try state.withLock { state in
            guard !state.isAway, !state.cut.contains(gatewayID) else { throw Problem.unavailable("away") }
            return try ask(&state.world, Monotonic.milliseconds())
        }
    }
}

/// One gateway of a cluster; who connects says who they are, and with `a` they are an agent.
final class GatewayNode: Sendable {
    let id: String
    let log: NodeLog
    let gateway: Gateway
    let peers: PeerLink
    private let presence: PresenceLink
    private let outbox: OutboxLink
    private let shared: SharedLog
    private let host: GatewayHost
    private let ear: DeafEar

    /// Whether what other gateways tell is answered 503.
    private final class DeafEar: Sendable {
        let isOn = Atomic(false)
        let refused = Atomic(0)

        func add(to router: inout Router, _ door: GatewayHost.Door, _ metrics: GatewayMetrics) {
            for (path, isHint) in [("/internal/deliver", true), ("/internal/notify", false)] {
                router.add(.post, path) { [self] request in
                    guard !isOn.load(ordering: .relaxed) else {
                        refused.wrappingAdd(1, ordering: .relaxed)
                        throw Problem.unavailable("deaf")
                    }
                    let routes = PeerRoutes(gateway: try door.gateway, metrics: metrics)
                    return isHint ? try await routes.deliver(request) : try await routes.notify(request)
                }
            }
        }
    }

    init(_ id: String, _ shared: SharedLog, _ stub: PresenceStub) throws {
        self.id = id
        self.shared = shared
        let ear = DeafEar()
        self.ear = ear
        let host = try GatewayHost { ear.add(to: &$0, $1, $2) }
        self.host = host
        log = NodeLog(id, shared)
        let client = try host.client("presence", at: stub.url)
        let process = host.process
        let peers = PeerLink(gatewayID: id, presence: client, metrics: host.metrics) {
            process.makeClient("gateway", $0)
        }
        self.peers = peers
        presence = PresenceLink(
            client: client,
            registration: .init(gatewayID: id, url: host.url, incarnation: Incarnation.make()),
            connections: { [admission = host.admission] in admission.total }
        )
        let fileGrants = FileGrants(files: client)
        var limits = GatewayLimits(connectionsMax: 100)
        // No sweep helps: what is told is told by hints, and by what the rules have read.
        limits.sweepMilliseconds = 3_600_000
        let gateway = host.makeGateway(
            log,
            client,
            presence: presence,
            sessions: SessionVerifier(auth: client, log: host.log, metrics: process.metrics),
            fileGrants: fileGrants,
            audit: AuditLink(auth: client, log: host.log, metrics: host.metrics),
            peers: peers,
            limits: limits
        )
        self.gateway = gateway
        gateway.directory.learn("a1", .agent, since: gateway.directory.mark)
        gateway.directory.learn("u1", .customer, since: gateway.directory.mark)
        outbox = OutboxLink(
            log: log,
            presence: client,
            fileGrants: fileGrants,
            isAlone: { peers.isAlone },
            onQueued: { gateway.tell($0) }
        )
        let relay = host.makeRelay()
        relay.connect(gateway, outbox)
        shared.connect(id, relay)
        follow()
    }

    private func follow() {
        let (gateway, presence, peers, outbox) = (gateway, presence, peers, outbox)
        host.process.background("peers") { await peers.run() }
        host.process.background("outbox") { await outbox.run() }
        host.process.background("presence") {
            await presence.run(
                .init(
                    onChanges: { _ in },
                    onDecisions: { outbox.append($0) },
                    onQueue: { _ in },
                    onRefused: { _ in },
                    onJoined: { gateway.joined($0) },
                    onRegistered: { gateway.heard($0, sentAt: $1) }
                )
            )
        }
    }

    /// Opens a device of a user's, and takes its `Welcome`.
    func device(_ user: String) async throws -> Device {
        let device = try await host.device(user)
        _ = try await device.frames(upTo: "Welcome")
        return device
    }

    /// Appends a decision of routing's.
    func append(_ decision: RoutingDecision) { outbox.append([decision]) }

    /// Whether it knows that somebody serves a customer.
    func serves(_ customerID: String) async -> Bool {
        let (answers, answer) = AsyncStream<Bool>.makeStream()
        gateway.onEachLoop { answer.yield($0.serving.isServed(customerID)) }
        return await answers.prefix(host.process.loops.loops.count).contains(true)
    }

    /// The value of a metric.
    func metric(_ name: String) -> Int { host.metric(name) }

    /// Whether it answers other gateways with 503.
    func setDeaf(_ isOn: Bool) {
        ear.refused.store(0, ordering: .relaxed)
        ear.isOn.store(isOn, ordering: .relaxed)
    }

    /// How much was told while it was deaf.
    var refusedHints: Int { ear.refused.load(ordering: .relaxed) }

    /// From here on it does not hear of its commits: who reads on has to be told by others.
    func cut() { shared.connect(id, nil) }

    /// A stop, as the process does it.
    func drain() async {
        await presence.drain()
        await gateway.drain(over: .milliseconds(1))
        await peers.flush(within: .seconds(5))
        await presence.end()
    }

    /// Ends it; nobody is told anything.
    func close() async { await host.close() }
}
