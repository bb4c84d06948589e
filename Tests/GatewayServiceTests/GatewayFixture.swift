import Core
import Foundation
import HTTP
import Net
import ServiceKit
import Synchronization
import TestSupport
import Testing
import Transport

@testable import GatewayService

/// A gateway with its log, its outbox and real sockets; who connects says who they are, and presence is a stub.
final class GatewayFixture: Sendable {
    let peers: PeerStub
    let log: SQLiteConversationLog
    let outbox: OutboxLink
    private let gateway: Gateway
    private let process: ServiceProcess
    private let server: ListeningServer
    private let commits: Commits
    private let isLogClosed = Atomic(false)

    /// The way of commits into the gateway.
    private final class Commits: Sendable {
        private struct State {
            var way = Way.open
            var kept: [Handover<[AppendBatch]>] = []
            var count = 0
        }

        private let state = Mutex(State())
        private let relay: CommitRelay

        init(_ relay: CommitRelay) { self.relay = relay }

        /// How many commits the log has made.
        var count: Int { state.withLock { $0.count } }

        func committed(_ batches: Handover<[AppendBatch]>) {
            let isOpen = state.withLock { state in
                state.count += 1
                if state.way == .held { state.kept.append(batches) }
                return state.way == .open
            }
            if isOpen { relay.committed(batches) }
        }

        func set(_ way: Way) {
            let kept = state.withLock { state in
                state.way = way
                defer { state.kept = [] }
                return way == .open ? state.kept : []
            }
            for batches in kept { relay.committed(batches) }
        }
    }

    /// What becomes of a commit, once it is made.
    enum Way {
        case open
        /// It is told later, when the way is open again.
        case held
        /// Nobody is told, as after a crash.
        case cut
    }

    private struct NoPresence: PresenceReporting {
        func joined(_ identity: Identity) {}
        func left(_ identity: Identity, silentMilliseconds: Int) {}
    }

    /// Lets the route find the gateway, which exists only after it.
    private final class Door: Sendable {
        private let gateway = Mutex<Gateway?>(nil)

        func connect(_ gateway: Gateway) { self.gateway.withLock { $0 = gateway } }

        func open(_ request: Request) throws -> Response {
            let gateway = try #require(gateway.withLock { $0 })
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

    /// - Parameters:
    ///   - directory: Where the log lies, as an earlier one has left it.
    ///   - peers: Who is asked.
    init(_ directory: String, _ peers: PeerStub = PeerStub()) throws {
        self.peers = peers
        let quiet = Log(service: "test", level: .error, descriptor: -1)
        process = try ServiceProcess(
            "gateway",
            settings: Settings.development(["gateway.listen": "127.0.0.1:0"]),
            log: quiet
        )
        let metrics = GatewayMetrics(process.metrics)
        let relay = CommitRelay(audit: MessageAudit(log: quiet, metrics: metrics))
        let commits = Commits(relay)
        self.commits = commits
        log = try SQLiteConversationLog(
            directory: directory,
            intervalMilliseconds: 0,
            log: quiet,
            committed: { commits.committed($0) },
            moved: { relay.moved($0) }
        )
        let door = Door()
        var router = Router()
        router.mount(peers)
        router.add(.get, "/ws") { try door.open($0) }
        server = try process.listen(at: SettingsCatalogue.gatewayListen, router)
        let client = process.makeClient("peers", try #require(BaseURL(parsing: "http://\(server.address)")))
        let fileGrants = FileGrants(files: client)
        let gateway = Gateway(
            loops: process.loops,
            shared: .init(
                log: log,
                limits: GatewayLimits(connectionsMax: 100),
                metrics: metrics,
                admission: AdmissionControl(connectionsMax: 100, perAddressMax: 100),
                userConnections: UserConnections(perUserMax: 10),
                directory: UserDirectory(auth: client),
                fileGrants: fileGrants,
                presence: NoPresence(),
                people: PresenceDirectory(presence: client),
                queue: QueueBoard()
            )
        )
        self.gateway = gateway
        outbox = OutboxLink(log: log, presence: client, fileGrants: fileGrants) { gateway.tell($0) }
        relay.connect(gateway, outbox)
        door.connect(gateway)
        process.background("outbox") { [outbox] in await outbox.run() }
    }

    /// Closes the connections as a stop does.
    func drain() async { await gateway.drain(over: .milliseconds(1)) }

    /// Customers' places reach every loop, past the board.
    func tell(_ places: [QueuePlace]) { gateway.onEachLoop { $0.tell(places) } }

    /// Ends it; without a word to anybody of what is under way when the way of commits is cut.
    func close() async {
        gateway.onEachLoop { $0.endDrain() }
        await closeLog()
        await process.tearDown()
        await server.server.drain(grace: .seconds(5))
        process.loops.shutDown()
    }

    /// From here on nothing is stored.
    func closeLog() async {
        if !isLogClosed.exchange(true, ordering: .relaxed) { await log.close() }
    }

    var commitCount: Int { commits.count }

    /// What becomes of commits from here on.
    func setWay(_ way: Way) { commits.set(way) }

    /// What is stored and not settled.
    func due() async throws -> [OutboxItem] {
        try await log.answer { self.log.outbox(after: 0, limit: 100, $0) }
    }

    /// The types of a conversation's entries.
    func entries(of conversationID: String) async throws -> [String] {
        let page = try await log.answer { self.log.read(conversationID, .after(0), limit: 100, bytesMax: 1 << 20, $0) }
        return page.entries.map { StoredEntry.field("type", in: Array(page.bytes[$0.text])) ?? "" }
    }

    /// Opens a device of a user's; who begins with `a` is an agent.
    func device(_ user: String, awaitsSync: Bool = false) async throws -> Device {
        let target = "/ws?user=\(user)&sync=\(awaitsSync ? 1 : 0)"
        return Device(socket: try await SocketClient(port: server.address.port, target: target))
    }
}

/// A client's connection; frames that come are named by type and `seq`: `Chat 2`.
struct Device {
    let socket: SocketClient

    func send(_ frame: String) async throws { try await socket.send(SocketClient.text(frame)) }

    /// Sends a message whose content is its `client_id`.
    func write(_ clientID: String, to addressee: String? = nil) async throws {
        let addressed = addressee.map { #","to_user_id":"\#($0)""# } ?? ""
        try await send(#"{"type":"Chat","content":"\#(clientID)","client_id":"\#(clientID)"\#(addressed)}"#)
    }

    func sync(_ conversationID: String, _ sequence: Int) async throws {
        try await send(#"{"type":"Sync","cursors":{"\#(conversationID)":\#(sequence)}}"#)
    }

    /// The frames up to one of this name, that one included.
    func frames(upTo last: String) async throws -> [String] {
        var names: [String] = []
        while names.last != last {
            let (opcode, payload) = try await socket.receive()
            guard opcode == 1 else { continue }
            let frame = try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any] ?? [:]
            let sequence = (frame["seq"] as? Int).map { " \($0)" } ?? ""
            names.append("\(frame["type"] as? String ?? "")\(sequence)")
        }
        return names
    }

    /// The frames that are on their way, when nothing more is to come.
    func framesSoFar() async throws -> [String] {
        var names: [String] = []
        // The first may be answered in the same turn as what was submitted to the loop before it.
        for _ in 0..<2 {
            try await send(#"{"type":"Heartbeat"}"#)
            names += try await frames(upTo: "Heartbeat").dropLast()
        }
        return names
    }
}
