import Core
import Net
import Transport
import WebSocket

/// One connected device of a user: takes its frames, and sends it each conversation's entries once and in order.
///
/// Belongs to its shard's loop. What is sent when is `DeliveryState`'s to say; `ClientSession+Delivery` does it.
final class ClientSession: WebSocketHandler {
    /// Entries in one read of what was missed, and bytes after which a read stops.
    static let pageEntries = 200
    static let pageBytes = 64 * 1024
    /// Unanswered messages after which a connection is read no further, and at which it is again.
    private static let inFlightMax = 1024
    private static let inFlightResume = 512
    /// The same for `Recall`s: with Redis each is a step of its own, one after the other, and whatever the loops hand
    /// to the log after it is told after it.
    static let recallsMax = 16
    static let recallsResume = 8
    /// The same for `Ack`s that wait for their entry's place.
    private static let waitingAcksMax = 1024
    private static let waitingAcksResume = 512
    /// Refused cursors of one `Sync` that are told; `Synced` says what there is.
    ///
    /// All ten thousand would be more than may wait for a client, who would be closed for it, and again when back.
    static let refusedCursorsMax = 1000
    /// How long a drain waits for what was read from this connection to be answered.
    private static let drainPatience = Duration.seconds(1)
    /// Refused frames in a minute after which the connection is closed.
    private static let badFramesMax = 20
    /// `Session` frames in a minute; each may ask auth.
    private static let renewalsMax = 10
    private static let minute: Int64 = 60_000

    let id: ConnectionID
    let identity: Identity
    let remoteAddress: String
    /// Base64url SHA-256 of the session id: what a revocation names.
    private(set) var sessionHash: String
    /// When the session ends, as far as is known here.
    private(set) var expiresAt: Timestamp
    /// The end that the client was warned of last.
    private(set) var warnedOf: Timestamp?
    let connection: WebSocketConnection
    unowned let shard: GatewayShard

    var delivery: DeliveryState
    var pingNumber: UInt32 = 0
    /// Whether a ping is due that finds out what was taken.
    var isPingDue = false
    /// Whether the shard looks at its gaps.
    var isGapNoted = false
    /// The place in the queue that this connection was told last, while it waits.
    var toldPlace: QueuePlace?
    /// The newest version of a place that it was told, of one that it has left too: what is older comes late.
    var placeVersion = -1
    private(set) var lastHeard: Int64
    /// What was read while own entries were on their way, until these are answered.
    var heldPage: (conversationID: String, page: EntryPage)?
    private var rate: RateLimit
    private var badFrames = FixedWindow(milliseconds: ClientSession.minute)
    /// `Recall`s that the log has not answered.
    private(set) var recallsUnderWay = 0
    private var renewals = FixedWindow(milliseconds: ClientSession.minute)
    /// Why reading is paused; it goes on when none is left.
    private var pauses: Pauses = []
    /// To be closed by the drain once what was read from it is answered.
    private var isEnding = false

    /// Reasons not to read.
    struct Pauses: OptionSet {
        let rawValue: UInt8
        static let inFlight = Pauses(rawValue: 1)
        static let rate = Pauses(rawValue: 2)
        static let lookUp = Pauses(rawValue: 4)
        static let acknowledgements = Pauses(rawValue: 8)
        static let drain = Pauses(rawValue: 16)
        static let recalls = Pauses(rawValue: 32)
    }

    init(
        id: ConnectionID,
        handshake: VerifiedHandshake,
        sessionHash: String,
        connection: WebSocketConnection,
        shard: GatewayShard
    ) {
        self.id = id
        identity = handshake.identity
        remoteAddress = handshake.remoteAddress
        self.sessionHash = sessionHash
        expiresAt = handshake.expiresAt
        self.connection = connection
        self.shard = shard
        delivery = DeliveryState(awaitsSync: handshake.awaitsSync)
        lastHeard = shard.loop.now
        rate = RateLimit(
            perSecond: shard.limits.messagesPerSecond,
            burst: shard.limits.messagesBurst,
            now: shard.loop.now
        )
    }

    // MARK: - Frames in

    func received(text: UnsafeMutableRawBufferPointer) {
        heard()
        var echo = FrameEcho()
        do throws(FrameProblem) {
            let frame = try ClientFrame.decode(UnsafeRawBufferPointer(text), sender: identity.userID, echo: &echo)
            try take(frame, echo)
        } catch {
            refuse(error, echo)
        }
    }

    private func take(_ frame: ClientFrame, _ echo: FrameEcho) throws(FrameProblem) {
        switch frame {
        case .chat(let chat): try shard.intake.take(chat, from: self)
        case .recall(let recall): try shard.intake.take(recall, from: self)
        case .heartbeat: connection.send(text: ServerFrame.heartbeat(now: .now()))
        case .receipt(let receipt): take(receipt, echo)
        case .sync(let cursors): try sync(cursors)
        case .typing(let typing): shard.requests.typing(typing, echo, from: self)
        case .history(let history): shard.requests.history(history, echo, from: self)
        case .onlineUsers(let type): shard.requests.onlineUsers(type, echo, from: self)
        case .status(let status): shard.requests.status(status, echo, from: self)
        case .session(let sessionID): try renew(sessionID, echo)
        }
    }

    private func renew(_ sessionID: String, _ echo: FrameEcho) throws(FrameProblem) {
        guard renewals.take(now: shard.loop.now) <= Self.renewalsMax else {
            throw FrameProblem(code: .tooManyRequests, message: "Session: at most \(Self.renewalsMax) a minute")
        }
        shard.requests.session(sessionID, echo, from: self)
    }

    /// Any frame is a sign of life, and counts against the rate: pings cost us as much as messages.
    func heard() {
        lastHeard = shard.loop.now
        let wait = rate.take(now: lastHeard)
        if wait > 0 { pauseForRate(wait) }
    }

    func receivedPing() { heard() }

    func received(binary: UnsafeRawBufferPointer) {
        close(.binary)
    }

    /// A refused frame: told, counted, and too many of them close.
    func refuse(_ problem: FrameProblem, _ echo: FrameEcho) {
        shard.metrics.frameRefused(problem.code)
        connection.send(text: ServerFrame.error(problem, echo: echo, now: .now()))
        // What is down or full on our side is not the client's doing.
        if problem.code == .unavailable || problem.code == .storageFull { return }
        if badFrames.take(now: shard.loop.now) > Self.badFramesMax { close(.badFrames) }
    }

    /// Asks others what a frame needs; the connection is read no further until `then` was called, or the frame refused.
    func ask<Value: Sendable>(
        _ echo: FrameEcho,
        _ work: @escaping @Sendable () async throws(FrameProblem) -> Value,
        then: @escaping (ClientSession, Value) -> Void
    ) {
        pause(.lookUp)
        let bound = LoopBound((self, then), loop: shard.loop)
        Task(executorPreference: shard.loop) {
            let outcome: Result<Value, FrameProblem>
            do throws(FrameProblem) {
                outcome = .success(try await work())
            } catch {
                outcome = .failure(error)
            }
            let (session, then) = bound.value
            switch outcome {
            case .success(let value): then(session, value)
            case .failure(let problem): session.refuse(problem, echo)
            }
            session.resume(.lookUp)
        }
    }

    func close(_ reason: CloseReason) {
        guard connection.isOpen else { return }
        shard.metrics.closing(reason)
        connection.close(reason.code, reason: reason.text)
    }

    // MARK: - Back-pressure

    func pause(_ reason: Pauses) {
        pauses.insert(reason)
        connection.pauseReading()
    }

    func resume(_ reason: Pauses) {
        guard pauses.contains(reason) else { return }
        pauses.remove(reason)
        if pauses.isEmpty { connection.resumeReading() }
        if isEnding { endIfAnswered() }
    }

    private func pauseForRate(_ milliseconds: Int64) {
        guard !pauses.contains(.rate) else { return }
        pause(.rate)
        _ = shard.loop.schedule(after: .milliseconds(milliseconds)) { [self] in resume(.rate) }
    }

    /// A message or a recall was handed to the log.
    func appendBegan(_ kind: EntryKind) {
        delivery.ownBegan()
        if case .recall = kind {
            recallsUnderWay += 1
            if recallsUnderWay >= Self.recallsMax { pause(.recalls) }
        }
        if delivery.ownUnderWay >= Self.inFlightMax || shard.intake.isLogBehind { pause(.inFlight) }
    }

    /// Its outcome is known.
    func appendEnded(_ kind: EntryKind) {
        if case .recall = kind {
            recallsUnderWay -= 1
            if recallsUnderWay <= Self.recallsResume { resume(.recalls) }
        }
        if delivery.ownHasEnded() { takeHeldPage() }
        let inFlight = delivery.ownUnderWay
        // With nothing unanswered it goes on in any case: there is no other occasion to.
        if inFlight == 0 || (inFlight <= Self.inFlightResume && !shard.intake.isLogBehind) { resume(.inFlight) }
        if isEnding { endIfAnswered() }
    }

    /// The number of `Ack`s that wait for their place has changed.
    func waitingAcksChanged() {
        if delivery.waitingAckCount >= Self.waitingAcksMax {
            pause(.acknowledgements)
        } else if delivery.waitingAckCount <= Self.waitingAcksResume {
            resume(.acknowledgements)
        }
    }

    // MARK: - Drain

    /// Reads no more; closes with 1001 after `delay`, or as soon as what was read by then is answered (DESIGN R14).
    func drain(after delay: Duration) {
        pause(.drain)
        _ = shard.loop.schedule(after: delay) { [self] in
            isEnding = true
            endIfAnswered()
        }
        _ = shard.loop.schedule(after: delay + Self.drainPatience) { [self] in end() }
    }

    private func endIfAnswered() {
        if delivery.ownUnderWay == 0, !pauses.contains(.lookUp) { end() }
    }

    private func end() {
        // Their places do not come any more; what they say is stored all the same (DESIGN R7).
        for acknowledgement in delivery.remainingAcks() {
            acknowledgement.withUnsafeBytes { connection.send(.text, $0) }
        }
        close(.drain)
    }

    /// The session goes on under a refreshed id, or for longer, or another one takes its place.
    func sessionContinues(hash: String, expiresAt: Timestamp) {
        sessionHash = hash
        self.expiresAt = expiresAt
    }

    /// Tells the client that the session ends soon, once for each end.
    func warnOfExpiry() {
        guard warnedOf != expiresAt else { return }
        warnedOf = expiresAt
        connection.send(text: ServerFrame.system(.sessionExpiring, expiresAt: expiresAt, now: .now()))
    }

    func closed(code: CloseCode?) {
        shard.sessionClosed(self)
    }
}
