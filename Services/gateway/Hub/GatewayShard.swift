import Core
import Net
import Transport
import WebSocket

/// One event loop's part of the gateway: the sessions of its connections, and the batch of messages it gathers.
///
/// Everything but `init` and `committed` runs on the loop.
final class GatewayShard {
    let index: Int
    let loop: EventLoop
    let log: any ConversationLog
    let limits: GatewayLimits
    let metrics: GatewayMetrics
    private let admission: AdmissionControl
    private let userConnections: UserConnections
    private let directory: UserDirectory
    private let fileGrants: FileGrants
    private let presence: any PresenceReporting

    /// Sessions by user: arrays, since a user has few.
    private var users: [String: [ClientSession]] = [:]
    private var sessions: [UInt64: ClientSession] = [:]
    /// Sessions by the hash of their session id, to find those that a revocation ends.
    private var bySession: [String: [UInt64]] = [:]
    private var agents: Set<String> = []
    private var nextNumber: UInt64 = 1
    private var messageIDs = MessageID()
    private var batch: AppendBatch?
    /// Messages of this shard's connections that the log has not answered.
    private var unanswered = 0
    private var lastBatchBytes = 0
    private var lastBatchCount = 0
    private var acknowledgements = ByteQueue()
    /// Of the running `committed`.
    private var deliveries = 0
    private var movedSessions: [ClientSession] = []
    private var sweepTick: UInt64 = 0
    private(set) var isDraining = false

    /// Sweeps in half a ping interval: each connection is looked at once in that time, and pinged every second time.
    private static let sweepsPerHalfInterval: UInt64 = 32

    init(
        index: Int,
        loop: EventLoop,
        log: any ConversationLog,
        limits: GatewayLimits,
        metrics: GatewayMetrics,
        admission: AdmissionControl,
        userConnections: UserConnections,
        directory: UserDirectory,
        fileGrants: FileGrants,
        presence: any PresenceReporting
    ) {
        self.index = index
        self.loop = loop
        self.log = log
        self.limits = limits
        self.metrics = metrics
        self.admission = admission
        self.userConnections = userConnections
        self.directory = directory
        self.fileGrants = fileGrants
        self.presence = presence
    }

    // MARK: - Sessions

    /// A verified handshake became a connection; `admission` has counted it.
    ///
    /// - Parameter verdict: What became of the session while auth was asked about it.
    /// - Returns: Connections of the same user, on any loop, whose place it has taken.
    func attach(
        _ upgraded: UpgradedConnection,
        _ handshake: VerifiedHandshake,
        _ verdict: PendingHandshakes.Verdict
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
            identity: handshake.identity,
            remoteAddress: handshake.remoteAddress,
            sessionHash: verdict.hash(of: handshake),
            expiresAt: handshake.expiresAt,
            connection: connection,
            shard: self
        )
        nextNumber += 1
        sessions[session.id.number] = session
        bySession[session.sessionHash, default: []].append(session.id.number)
        let userID = session.identity.userID
        users[userID, default: []].append(session)
        if session.identity.userType == .agent { agents.insert(userID) }
        metrics.opened()
        directory.learn(userID, session.identity.userType)
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
        readPositions(session)
        return userConnections.enter(userID, session.id)
    }

    /// Newer connections of the same user have taken its place.
    func replaced(_ number: UInt64) { sessions[number]?.close(.replaced) }

    /// The last of a session; called by it, once.
    func sessionClosed(_ session: ClientSession) {
        guard sessions.removeValue(forKey: session.id.number) != nil else { return }
        forget(session.id.number, hash: session.sessionHash)
        let identity = session.identity
        userConnections.leave(identity.userID, session.id)
        users[identity.userID]?.removeAll { $0 === session }
        if users[identity.userID]?.isEmpty == true {
            users[identity.userID] = nil
            agents.remove(identity.userID)
        }
        metrics.closed()
        admission.leave(session.remoteAddress)
        presence.left(identity)
    }

    private func forget(_ number: UInt64, hash: String) {
        bySession[hash]?.removeAll { $0 == number }
        if bySession[hash]?.isEmpty == true { bySession[hash] = nil }
    }

    /// Sessions whose id was refreshed or has ended.
    func sessionRevoked(hash: String, replacedBy: String?) {
        for number in bySession[hash] ?? [] {
            guard let session = sessions[number] else { continue }
            if let replacedBy {
                forget(number, hash: hash)
                session.sessionContinues(hash: replacedBy, expiresAt: session.expiresAt)
                bySession[replacedBy, default: []].append(number)
            } else {
                session.close(.sessionEnded)
            }
        }
    }

    /// The hashes of all sessions, for verifying each again.
    var sessionHashes: [String] { Array(bySession.keys) }

    /// Closes the connections of some users.
    func close(users userIDs: [String], _ reason: CloseReason) {
        for userID in userIDs {
            for session in users[userID] ?? [] { session.close(reason) }
        }
    }

    func closeAll(_ reason: CloseReason) {
        for session in sessions.values { session.close(reason) }
    }

    // MARK: - Messages in

    /// A `Chat` of a session: appended at once when all that it needs is known, else after a look-up.
    func receive(_ chat: ChatFrame, from session: ClientSession) throws(FrameProblem) {
        guard let addressee = chat.addressee else {
            throw FrameProblem(
                code: .noAgentAvailable,
                message: "to_user_id: no agent serves you yet, so name the one to write to"
            )
        }
        guard chat.fileID == nil, let type = directory.cached(addressee) else {
            return lookUp(chat, addressee, for: session)
        }
        try append(chat, to: addressee, of: type, file: nil, from: session)
    }

    private func append(
        _ chat: ChatFrame,
        to addressee: String,
        of type: UserType,
        file: String?,
        from session: ClientSession
    ) throws(FrameProblem) {
        let conversationID = try Self.conversation(session.identity, addressee, type)
        let batch = openBatch()
        let parts = ChatEntry.Parts(
            conversationID: conversationID,
            sender: session.identity.userID,
            addressee: addressee,
            file: file
        )
        let (text, acknowledged) = ChatEntry.write(
            chat,
            parts,
            messageID: &messageIDs,
            now: .now(),
            to: &batch.bytes
        )
        batch.appends.append(
            Append(
                conversationID: conversationID,
                sender: session.identity.userID,
                senderType: session.identity.userType,
                addressee: addressee,
                clientID: chat.clientID,
                kind: .chat,
                text: text,
                acknowledged: acknowledged,
                file: nil,
                origin: session.id
            )
        )
        unanswered += 1
        session.appendBegan()
    }

    /// The conversation that a message belongs to (DESIGN §4, Isolation).
    private static func conversation(
        _ sender: Identity,
        _ addressee: String,
        _ type: UserType
    ) throws(FrameProblem) -> String {
        guard addressee != sender.userID else {
            throw FrameProblem(code: .recipientForbidden, message: "to_user_id: must be somebody else")
        }
        switch (sender.userType, type) {
        case (.customer, .agent): return ConversationName.ofCustomer(sender.userID)
        case (.agent, .customer): return ConversationName.ofCustomer(addressee)
        case (.agent, .agent): return ConversationName.ofAgents(sender.userID, addressee)
        case (.customer, .customer):
            // The same answer as for a name that nobody has: customers learn nothing of each other.
            throw UserDirectory.unknownRecipient
        }
    }

    /// Whether so much waits for the log that senders are read more slowly.
    var isLogBehind: Bool { unanswered >= limits.unansweredMax }

    private func openBatch() -> AppendBatch {
        if let batch { return batch }
        let fresh = AppendBatch()
        // About as much as last time: growing step by step would copy every byte twice.
        fresh.bytes.reserveCapacity(lastBatchBytes)
        fresh.appends.reserveCapacity(lastBatchCount)
        batch = fresh
        loop.atTurnEnd { [self] in
            guard let full = batch else { return }
            batch = nil
            lastBatchBytes = full.bytes.count
            lastBatchCount = full.appends.count
            log.append(Handover(full))
        }
        return fresh
    }

    /// Asks other services what a message needs; the connection is read no further meanwhile, so order is kept.
    private func lookUp(_ chat: ChatFrame, _ addressee: String, for session: ClientSession) {
        session.pause(.lookUp)
        let content = Array(chat.content.bytes)
        let held = HeldChat(chat)
        let bound = LoopBound((self, session), loop: loop)
        let identity = session.identity
        Task(executorPreference: loop) { [directory, fileGrants] in
            let outcome: Result<(UserType, String?), FrameProblem>
            do throws(FrameProblem) {
                let type = try await directory.type(of: addressee)
                var file: String?
                if let fileID = held.fileID {
                    // Before the append: a crash in between leaves no message whose file cannot be read.
                    file = try await fileGrants.grant(fileID, sender: identity, to: addressee)
                }
                outcome = .success((type, file))
            } catch {
                outcome = .failure(error)
            }
            let (shard, session) = bound.value
            content.withUnsafeBytes { bytes in
                do throws(FrameProblem) {
                    let (type, file) = try outcome.get()
                    try shard.append(held.frame(bytes), to: addressee, of: type, file: file, from: session)
                } catch {
                    session.refuse(error, echo: FrameEcho(clientID: held.clientID))
                }
            }
            session.resume(.lookUp)
        }
    }

    // MARK: - Entries out

    /// Batches that are committed (or failed), of any shard: delivers to this shard's sessions.
    func committed(_ batches: [AppendBatch]) {
        for batch in batches {
            for append in batch.appends { settle(append, batch) }
        }
        metrics.delivered(deliveries)
        deliveries = 0
    }

    private func settle(_ append: Append, _ batch: AppendBatch) {
        if append.origin?.shard == index { unanswered -= 1 }
        let origin = append.origin.flatMap { $0.shard == index ? sessions[$0.number] : nil }
        // Last: it may take the next message, or end a drain that waits for this answer.
        defer { origin?.appendEnded() }
        switch append.outcome {
        case .pending: break
        case .failed(let problem):
            let echo = FrameEcho(clientID: append.clientID)
            origin?.connection.send(text: ServerFrame.error(problem, echo: echo, now: .now()))
        case .appended(let sequence, let audience):
            let waiting = batch.bytes.waiting
            let text = UnsafeRawBufferPointer(rebasing: waiting[append.text])
            for member in audience {
                guard let sessions = users[member] else { continue }
                for session in sessions where session !== origin {
                    session.deliver(append.conversationID, sequence, text: text)
                    deliveries += 1
                }
            }
            guard let origin else { return }
            acknowledgements.removeAll(keepingCapacity: true)
            ServerFrame.acknowledgement(
                UnsafeRawBufferPointer(rebasing: waiting[append.acknowledged]),
                sequence: sequence,
                clientID: append.clientID,
                to: &acknowledgements
            )
            origin.deliver(append.conversationID, sequence, text: text, acknowledgement: acknowledgements.waiting)
        case .repeated(let sequence, let stored, let audience):
            // DESIGN R1: a repeat does all of it again, so that a crash after the commit leaves nobody untold.
            for member in audience {
                for session in users[member] ?? [] where session !== origin {
                    session.noteHead(append.conversationID, sequence)
                }
            }
            guard let origin, let range = StoredEntry.acknowledged(in: stored) else { return }
            acknowledgements.removeAll(keepingCapacity: true)
            stored.withUnsafeBytes { bytes in
                ServerFrame.acknowledgement(
                    UnsafeRawBufferPointer(rebasing: bytes[range]),
                    sequence: sequence,
                    clientID: append.clientID,
                    to: &acknowledgements
                )
            }
            origin.acknowledgeRepeat(append.conversationID, sequence, acknowledgements.waiting)
        }
    }

    // MARK: - Reading for sessions

    private func readPositions(_ session: ClientSession) {
        let bound = LoopBound(session, loop: loop)
        log.positions(of: session.identity.userID, naming: []) { [loop] answer in
            loop.submit {
                switch answer {
                case .success(let positions): bound.value.place(positions)
                case .failure: bound.value.close(.overload)
                }
            }
        }
    }

    func readPosition(_ conversationID: String, for session: ClientSession) {
        let bound = LoopBound(session, loop: loop)
        log.position(of: session.identity.userID, in: conversationID) { [loop] answer in
            loop.submit { bound.value.takePosition(conversationID, answer) }
        }
    }

    func read(_ conversationID: String, after sequence: Int, for session: ClientSession) {
        let bound = LoopBound(session, loop: loop)
        log.read(
            conversationID,
            .after(sequence),
            limit: ClientSession.pageEntries,
            bytesMax: ClientSession.pageBytes
        ) { [loop] answer in
            loop.submit { bound.value.takePage(conversationID, answer) }
        }
    }

    // MARK: - Presence

    /// Sends frames to every agent here, each agent's at once, so that one buffer at a time exists.
    func tellAgents(_ frames: [String]) {
        for agent in agents {
            for session in users[agent] ?? [] {
                for frame in frames { session.connection.send(text: frame) }
                session.connection.flush()
            }
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
        let now = Timestamp.now()
        var expired: [String] = []
        for session in sessions.values where session.id.number % Self.sweepsPerHalfInterval == slot {
            if session.lastHeard < silentSince {
                session.close(.heartbeat)
            } else if isPingTurn {
                session.ping()
            }
            if session.expiresAt <= now { expired.append(session.sessionHash) }
        }
        if !expired.isEmpty { onExpired?(expired) }
    }

    // MARK: - Delivered positions

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

    /// Told of sessions that may have run out, to ask for again.
    var onExpired: (([String]) -> Void)?

    /// A session was found alive, until then.
    func sessionAlive(hash: String, expiresAt: Timestamp) {
        for number in bySession[hash] ?? [] { sessions[number]?.sessionContinues(hash: hash, expiresAt: expiresAt) }
    }

    // MARK: - Stop

    /// Takes no more messages, and closes the connections in random order over `spread` (DESIGN R14).
    func drain(over spread: Duration) {
        isDraining = true
        let (seconds, attoseconds) = spread.components
        let milliseconds = max(seconds * 1000 + attoseconds / 1_000_000_000_000_000, 1)
        for session in sessions.values { session.drain(after: .milliseconds(Int64.random(in: 0..<milliseconds))) }
    }

    /// Ends the connections that have not answered their close frame, so that presence is told of all of them.
    func endDrain() {
        for session in sessions.values { session.connection.abort() }
    }

    var sessionCount: Int { sessions.count }
}

/// A `Chat` without its frame's bytes, while other services are asked.
private struct HeldChat: Sendable {
    let contentType: ContentType
    let hasEscapes: Bool
    let addressee: String?
    let clientID: String?
    let fileID: String?

    init(_ chat: ChatFrame) {
        contentType = chat.contentType
        hasEscapes = chat.content.hasEscapes
        addressee = chat.addressee
        clientID = chat.clientID
        fileID = chat.fileID
    }

    func frame(_ content: UnsafeRawBufferPointer) -> ChatFrame {
        var chat = ChatFrame(content: JSONSlice(kind: .string, bytes: content, hasEscapes: hasEscapes))
        chat.contentType = contentType
        chat.addressee = addressee
        chat.clientID = clientID
        chat.fileID = fileID
        return chat
    }
}
