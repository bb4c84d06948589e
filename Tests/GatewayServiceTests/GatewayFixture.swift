import Contracts
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

/// A gateway with its log, its outbox and real sockets; presence and auth are stubs.
///
/// Who connects by `device` says who they are; by `open` they bring a session.
final class GatewayFixture: Sendable {
    let peers: PeerStub
    let auth = SessionStub()
    let clocks = ShiftedClocks()
    let sessions: SessionVerifier
    let audit: AuditLink
    private let watch: SessionWatch
    private let heard = HeardNumber()
    let log: any ConversationLog
    let outbox: OutboxLink
    let gateway: Gateway
    private let host: GatewayHost
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

    /// - Parameters:
    ///   - directory: Where the log lies, as an earlier one has left it.
    ///   - peers: Who is asked.
    init(_ directory: String, _ peers: PeerStub = PeerStub()) async throws {
        self.peers = peers
        let auth = auth
        let host = try GatewayHost { router, door, _ in
            router.mount(peers)
            router.mount(auth)
            router.add(.get, "/ws") { request in
                let origins = OriginPolicy(allowedOrigins: [], allowsCredentials: false)
                return try await HandshakeRoute(gateway: try door.gateway, origins: origins).open(request)
            }
        }
        self.host = host
        let relay = host.makeRelay()
        let commits = Commits(relay)
        self.commits = commits
        log = try await StoreEngine.openLog(
            directory,
            committed: { commits.committed($0) },
            moved: { relay.moved($0) }
        )
        let client = try host.client("peers", at: host.url)
        let fileGrants = FileGrants(files: client)
        let clocks = clocks
        sessions = SessionVerifier(
            auth: client,
            log: host.log,
            metrics: host.process.metrics,
            now: { clocks.monotonic }
        )
        audit = AuditLink(auth: client, log: host.log, metrics: host.metrics)
        watch = SessionWatch(auth: client, sessions: sessions)
        let gateway = host.makeGateway(
            log,
            client,
            presence: NoPresence(),
            sessions: sessions,
            fileGrants: fileGrants,
            audit: audit,
            wallClock: { clocks.wall }
        )
        self.gateway = gateway
        outbox = OutboxLink(log: log, presence: client, fileGrants: fileGrants) { gateway.tell($0) }
        relay.connect(gateway, outbox)
        host.process.background("audit") { [audit] in await audit.run() }
        host.process.background("outbox") { [outbox] in await outbox.run() }
    }

    /// Closes the connections as a stop does.
    func drain() async { await gateway.drain(over: .milliseconds(1)) }

    /// The value of a metric.
    func metric(_ name: String) -> Int { host.metric(name) }

    /// What `GET /api/messages` answers.
    func messages(_ query: String, _ sessionID: String) async -> Response {
        var router = Router()
        router.mount(MessageRoutes(log: log, sessions: sessions, directory: gateway.directory, audit: audit))
        let head = RequestHead(
            method: .get,
            target: "/api/messages?\(query)",
            headers: ["X-Session-Id": sessionID]
        )
        return await router.respond(to: Request(head: head, remoteAddress: "192.0.2.7", id: "r7"))
    }

    /// Customers' places reach every loop, past the board.
    func tell(_ places: [QueuePlace]) { gateway.onEachLoop { $0.tell(places) } }

    /// Ends it; without a word to anybody of what is under way when the way of commits is cut.
    func close() async {
        gateway.onEachLoop { $0.endDrain() }
        await closeLog()
        await host.close()
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

    /// Follows auth, and keeps sockets to their sessions; returns when auth is heard.
    func followSessions() async {
        host.process.background("session_feed") { [sessions] in await sessions.follow() }
        // The first answer is a reset, which would have every session asked about.
        #expect(await eventually { sessions.isFeedFresh })
        watch.keep(gateway)
        let heard = heard
        sessions.observe(onRevoked: { heard.value.store($0.number, ordering: .relaxed) }, onReset: {})
        host.process.background("session_watch") { [watch, gateway] in await watch.run(gateway) }
    }

    /// The newest number of auth's feed that was handed to the loops.
    var heardNumber: Int { heard.value.load(ordering: .relaxed) }

    /// A handshake with a session.
    func handshake(_ sessionID: String) async throws -> SocketClient {
        try await host.connect("/ws?session_id=\(sessionID)", isHandshake: true)
    }

    /// Opens a device with a session, and takes its `Welcome`.
    func open(_ sessionID: String) async throws -> Device {
        let device = Device(socket: try await handshake(sessionID))
        try #require(device.socket.head.hasPrefix("HTTP/1.1 101"), "\(device.socket.head)")
        _ = try await device.frames(upTo: "Welcome")
        return device
    }

    /// Opens a device of a user's; who begins with `a` is an agent.
    func device(_ user: String, awaitsSync: Bool = false) async throws -> Device {
        try await host.device(user, awaitsSync: awaitsSync)
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

    /// The next frame of this type.
    func frame(_ type: String) async throws -> [String: String] {
        while true {
            let (opcode, payload) = try await socket.receive()
            guard opcode == 1 else { continue }
            let frame = try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any] ?? [:]
            if frame["type"] as? String == type { return frame.compactMapValues { $0 as? String } }
        }
    }

    /// Sends a `Session` frame.
    ///
    /// - Returns: The answer: its `System` or `Error`.
    func bring(_ sessionID: String) async throws -> String {
        try await send(#"{"type":"Session","session_id":"\#(sessionID)","client_id":"x"}"#)
        while true {
            let (opcode, payload) = try await socket.receive()
            guard opcode == 1 else { continue }
            let frame = try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any] ?? [:]
            if frame["client_id"] as? String == "x" { return frame["code"] as? String ?? "" }
        }
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
