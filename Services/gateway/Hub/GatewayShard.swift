import Core
import Net
import Transport
import WebSocket

/// One event loop's part of the gateway: the sessions of its connections.
///
/// Everything but `init` runs on the loop. What sessions send to the log goes through `intake`; what it has committed
/// comes back to `GatewayShard+Delivery`.
final class GatewayShard {
    let index: Int
    let loop: EventLoop
    let limits: GatewayLimits
    let log: any ConversationLog
    let metrics: GatewayMetrics
    let intake: MessageIntake
    let requests: FrameRequests
    private let admission: AdmissionControl
    private let userConnections: UserConnections
    private let directory: UserDirectory
    private let presence: any PresenceReporting

    var sessions = SessionTable()
    var expiries = ExpiryTable()
    let wallClock: @Sendable () -> Timestamp
    var serving = ServingTable()
    let queue: QueueBoard
    /// `nil` when no other gateway can share the log.
    let peers: PeerLink?
    var hintReads = HintReads()
    var headReads = HeadReads()
    private var gate: ReadGate<() -> Void>
    private var startingReads: ArraySlice<() -> Void> = []
    /// Of the running `committed`, and its buffer.
    var deliveries = 0
    var acknowledgements = ByteQueue()
    private var movedSessions: [ClientSession] = []
    /// Sessions with gaps that hints may fill.
    private var gapSessions: [ClientSession] = []
    /// How long a gap waits for hints, to twice as long: several times as long as hints take.
    private static let gapInterval = Duration.milliseconds(25)
    private var sweepTick: UInt64 = 0
    private var nextNumber: UInt64 = 1
    private(set) var isDraining = false

    /// Sweeps in half a ping interval: each connection is looked at once in that time, and pinged every second time.
    private static let sweepsPerHalfInterval: UInt64 = 32

    /// What all shards share.
    struct Shared {
        let log: any ConversationLog
        let limits: GatewayLimits
        let metrics: GatewayMetrics
        let admission: AdmissionControl
        let userConnections: UserConnections
        let directory: UserDirectory
        let fileGrants: FileGrants
        let presence: any PresenceReporting
        let people: PresenceDirectory
        let queue: QueueBoard
        let entrance: SessionEntrance
        let audit: AuditLink
        /// Left out when no other gateway can share the log.
        var peers: PeerLink?
        var wallClock: @Sendable () -> Timestamp = { .now() }
    }

    /// - Parameters:
    ///   - index: Its place among the shards.
    ///   - loop: The loop that it belongs to.
    ///   - shared: What it shares with the others.
    ///   - tell: Sends a frame to users on any loop.
    init(index: Int, loop: EventLoop, shared: Shared, tell: @escaping FrameRequests.Tell) {
        self.index = index
        self.loop = loop
        limits = shared.limits
        log = shared.log
        metrics = shared.metrics
        admission = shared.admission
        userConnections = shared.userConnections
        directory = shared.directory
        presence = shared.presence
        queue = shared.queue
        peers = shared.peers
        gate = ReadGate(underWayMax: shared.limits.readsMax)
        wallClock = shared.wallClock
        intake = MessageIntake(
            loop: loop,
            log: shared.log,
            directory: shared.directory,
            fileGrants: shared.fileGrants,
            unansweredMax: shared.limits.unansweredMax
        )
        requests = FrameRequests(
            log: shared.log,
            directory: shared.directory,
            people: shared.people,
            entrance: shared.entrance,
            audit: shared.audit,
            tell: tell
        )
    }

    // MARK: - Sessions

    /// A verified handshake became a connection; `admission` has counted it.
    ///
    /// - Parameter verdict: What became of the session while auth was asked about it.
    /// - Returns: Connections of the same user, on any loop, whose place it has taken.
    func attach(
        _ upgraded: UpgradedConnection,
        _ handshake: VerifiedHandshake,
        _ verdict: PendingSessions.Verdict
    ) -> [ConnectionID] {
        // What came behind the handshake is taken by `start`: nothing is, from one that is not to stay.
        let mayStay = !isDraining && verdict != .revoked
        let connection = WebSocketConnection(
            descriptor: upgraded.descriptor,
            loop: loop,
            received: mayStay ? upgraded.received : [],
            pendingOutput: upgraded.pendingOutput,
            limits: .init(messageBytesMax: limits.frameBytesMax, outboundBytesMax: limits.outboundBytesMax)
        )
        let session = ClientSession(
            id: ConnectionID(shard: index, number: nextNumber),
            handshake: handshake,
            sessionHash: verdict.hash(of: handshake.sessionHash),
            connection: connection,
            shard: self
        )
        nextNumber += 1
        sessions.insert(session)
        let userID = session.identity.userID
        metrics.opened()
        directory.learn(userID, session.identity.userType, since: handshake.accountMark)
        presence.joined(session.identity)
        do {
            try connection.start(session)
        } catch {
            sessionClosed(session)
            return []
        }
        guard mayStay else {
            session.close(isDraining ? .drain : .sessionEnded)
            return []
        }
        watchExpiry(of: session)
        session.begin()
        return userConnections.enter(userID, session.id)
    }

    /// Newer connections of the same user have taken its place.
    func replaced(_ number: UInt64) { sessions[number]?.close(.replaced) }

    /// The last of a session; called by it, once.
    func sessionClosed(_ session: ClientSession) {
        let (wasThere, wasLast) = sessions.remove(session)
        guard wasThere else { return }
        expiries.remove(session.id.number)
        let identity = session.identity
        userConnections.leave(identity.userID, session.id)
        if wasLast { serving.set(nil, for: identity.userID) }
        metrics.closed()
        admission.leave(session.remoteAddress)
        presence.left(identity, silentMilliseconds: Int(loop.now - session.lastHeard))
    }

    /// Closes the connections of some users.
    func close(users userIDs: [String], _ reason: CloseReason) {
        for userID in userIDs {
            for session in sessions.sessions(of: userID) { session.close(reason) }
        }
    }

    func closeAll(_ reason: CloseReason) {
        for session in sessions.all { session.close(reason) }
    }

    // MARK: - Reading for sessions

    func readPositions(
        of session: ClientSession,
        naming conversationIDs: [String],
        _ take: @escaping (ClientSession, [MemberPosition]) -> Void
    ) {
        inTurn { [self] in
            guard session.connection.isOpen else { return turnEnded() }
            let bound = LoopBound((self, session, take), loop: loop)
            log.positions(of: session.identity.userID, naming: conversationIDs) { [loop] answer in
                loop.submit {
                    let (shard, session, take) = bound.value
                    switch answer {
                    case .success(let positions): take(session, positions)
                    case .failure: session.close(.overload)
                    }
                    shard.turnEnded()
                }
            }
        }
    }

    func read(_ read: DeliveryState.Read, for session: ClientSession) {
        inTurn { [self] in
            guard session.connection.isOpen else { return turnEnded() }
            let bound = LoopBound((self, session), loop: loop)
            switch read {
            case .position(let conversationID):
                log.position(of: session.identity.userID, in: conversationID) { [loop] answer in
                    loop.submit {
                        bound.value.1.takePosition(conversationID, answer)
                        bound.value.0.turnEnded()
                    }
                }
            case .entries(let conversationID, let sequence):
                log.read(
                    conversationID,
                    .after(sequence),
                    limit: ClientSession.pageEntries,
                    bytesMax: ClientSession.pageBytes
                ) { [loop] answer in
                    loop.submit {
                        bound.value.1.takePage(conversationID, answer)
                        bound.value.0.turnEnded()
                    }
                }
            }
        }
    }

    /// Begins a read of the log when it is its turn; once it is answered it calls `turnEnded`.
    ///
    /// - Parameter isUrgent: Whether it goes before those of connections that catch up.
    func inTurn(isUrgent: Bool = false, _ read: @escaping () -> Void) {
        if let read = gate.begin(read, isUrgent: isUrgent) { run(read) }
    }

    func turnEnded() {
        if let next = gate.end() { run(next) }
    }

    /// One after the other, not one inside the other: thousands may find that they have nothing to read any more.
    private func run(_ read: @escaping () -> Void) {
        startingReads.append(read)
        guard startingReads.count == 1 else { return }
        while let read = startingReads.first {
            read()
            startingReads.removeFirst()
        }
    }

    // MARK: - Liveness

    /// Starts the sweep over all connections.
    func startSweeping() {
        let interval = Duration.milliseconds(limits.pingMilliseconds / 2 / Int(Self.sweepsPerHalfInterval))
        _ = loop.schedule(after: interval) { [self] in
            sweep()
            startSweeping()
        }
    }

    private func sweep() {
        let slot = sweepTick % Self.sweepsPerHalfInterval
        let isPingTurn = sweepTick / Self.sweepsPerHalfInterval % 2 == 0
        sweepTick += 1
        let silentSince = loop.now - Int64(limits.pingMilliseconds) * 5 / 2
        for session in sessions.all where session.id.number % Self.sweepsPerHalfInterval == slot {
            if session.lastHeard < silentSince {
                session.close(.heartbeat)
            } else if isPingTurn {
                session.ping()
            }
        }
    }

    /// A session was sent something since its last ping: it is pinged soon, so that what it has taken is known when it
    /// connects again.
    func sessionMoved(_ session: ClientSession) {
        if movedSessions.isEmpty {
            _ = loop.schedule(after: .milliseconds(limits.deliveryPingMilliseconds)) { [self] in pingMoved() }
        }
        movedSessions.append(session)
    }

    private func pingMoved() {
        let sessions = movedSessions
        movedSessions = []
        for session in sessions { session.ping() }
    }

    /// A session waits for another gateway's hint to fill a gap; when none does it reads.
    func gapFound(by session: ClientSession) {
        guard !session.isGapNoted else { return }
        session.isGapNoted = true
        if gapSessions.isEmpty { lookAtGapsLater() }
        gapSessions.append(session)
    }

    private func lookAtGapsLater() {
        _ = loop.schedule(after: Self.gapInterval) { [self] in
            for session in gapSessions { session.readGaps() }
            gapSessions.removeAll { session in
                session.isGapNoted = session.connection.isOpen && session.delivery.hasGaps
                return !session.isGapNoted
            }
            if !gapSessions.isEmpty { lookAtGapsLater() }
        }
    }

    /// Told of sessions that have run out, or soon will, to ask about.
    var onExpired: (([String]) -> Void)?

    // MARK: - Stop

    /// Takes no more messages, and closes the connections in random order over `spread` (DESIGN R14).
    func drain(over spread: Duration) {
        isDraining = true
        let (seconds, attoseconds) = spread.components
        let milliseconds = max(seconds * 1000 + attoseconds / 1_000_000_000_000_000, 1)
        for session in sessions.all { session.drain(after: .milliseconds(Int64.random(in: 0..<milliseconds))) }
    }

    /// Ends the connections that have not answered their close frame, so that presence is told of all of them.
    func endDrain() {
        for session in sessions.all { session.connection.abort() }
    }
}
