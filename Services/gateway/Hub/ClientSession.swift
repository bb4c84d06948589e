import Core
import Net
import Transport
import WebSocket

/// One connected device of a user: takes its frames, and sends it each conversation's entries once and in order.
///
/// Belongs to its shard's loop.
final class ClientSession: WebSocketHandler {
    /// Entries in one read of what was missed, and bytes after which a read stops.
    static let pageEntries = 200
    static let pageBytes = 64 * 1024
    /// Unanswered messages after which a connection is read no further, and at which it is again.
    private static let inFlightMax = 1024
    private static let inFlightResume = 512
    /// The same for `Ack`s that wait for their entry's place.
    private static let waitingAcksMax = 1024
    private static let waitingAcksResume = 512
    /// How long a drain waits for what was read from this connection to be answered.
    private static let drainPatience = Duration.seconds(1)
    /// Refused frames in a minute after which the connection is closed.
    private static let badFramesMax = 20
    private static let badFramesWindow: Int64 = 60_000

    let id: ConnectionID
    let identity: Identity
    let remoteAddress: String
    /// Base64url SHA-256 of the session id: what a revocation names.
    private(set) var sessionHash: String
    /// When the session has to be asked for again.
    private(set) var expiresAt: Timestamp
    let connection: WebSocketConnection
    private unowned let shard: GatewayShard

    private var cursors: [String: DeliveryCursor] = [:]
    /// Whether the stored positions have been read, and `Welcome` sent.
    private var isPlaced = false
    /// `Ack`s whose entry's place has not come yet (DESIGN R7).
    private var waitingAcks: [EntryPlace: [UInt8]] = [:]
    /// Conversations whose next read has to wait its turn: one read at a time, and none while the socket has much to
    /// take, so that what was missed cannot overrun the connection however many conversations it lies in.
    private var readsDue: ArraySlice<String> = []
    private var isReadUnderWay = false
    /// Conversations whose cursor has moved since the last ping; and those that the last ping covers.
    private var moved: [String] = []
    private var pinged: [(conversationID: String, sequence: Int)] = []
    private var pingNumber: UInt32 = 0
    private(set) var lastHeard: Int64
    private var inFlight = 0
    private var rate: RateLimit
    private var badFrames = 0
    private var badFramesSince: Int64 = 0
    /// Why reading is paused; it goes on when none is left.
    private var pauses: Pauses = []
    /// To be closed by the drain once what was read from it is answered.
    private var isEnding = false

    private struct EntryPlace: Hashable {
        let conversationID: String
        let sequence: Int
    }

    /// Reasons not to read.
    struct Pauses: OptionSet {
        let rawValue: UInt8
        static let inFlight = Pauses(rawValue: 1)
        static let rate = Pauses(rawValue: 2)
        static let lookUp = Pauses(rawValue: 4)
        static let acknowledgements = Pauses(rawValue: 8)
        static let drain = Pauses(rawValue: 16)
    }

    init(
        id: ConnectionID,
        identity: Identity,
        remoteAddress: String,
        sessionHash: String,
        expiresAt: Timestamp,
        connection: WebSocketConnection,
        shard: GatewayShard
    ) {
        self.id = id
        self.identity = identity
        self.remoteAddress = remoteAddress
        self.sessionHash = sessionHash
        self.expiresAt = expiresAt
        self.connection = connection
        self.shard = shard
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
            switch try ClientFrame.decode(UnsafeRawBufferPointer(text), sender: identity.userID, echo: &echo) {
            case .chat(let chat): try shard.receive(chat, from: self)
            case .heartbeat: connection.send(text: ServerFrame.heartbeat(now: .now()))
            case .receipt(let receipt) where receipt.kind == .delivered:
                takeDelivered(receipt.conversationID, receipt.sequence)
            default: throw FrameProblem(code: .unknownType, message: "type: is not served yet")
            }
        } catch {
            refuse(error, echo: echo)
        }
    }

    /// Any frame is a sign of life, and counts against the rate: pings cost us as much as messages.
    private func heard() {
        lastHeard = shard.loop.now
        let wait = rate.take(now: lastHeard)
        if wait > 0 { pauseForRate(wait) }
    }

    func receivedPing() { heard() }

    func received(binary: UnsafeRawBufferPointer) {
        close(.binary)
    }

    /// A refused frame: told, counted, and too many of them close.
    func refuse(_ problem: FrameProblem, echo: FrameEcho) {
        shard.metrics.frameRefused(problem.code)
        connection.send(text: ServerFrame.error(problem, echo: echo, now: .now()))
        // What is down on our side is not the client's doing.
        if problem.code == .unavailable { return }
        let now = shard.loop.now
        if now - badFramesSince > Self.badFramesWindow {
            badFramesSince = now
            badFrames = 0
        }
        badFrames += 1
        if badFrames > Self.badFramesMax { close(.badFrames) }
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

    /// A message was handed to the log.
    func appendBegan() {
        inFlight += 1
        if inFlight >= Self.inFlightMax || shard.isLogBehind { pause(.inFlight) }
    }

    /// Its outcome is known.
    func appendEnded() {
        inFlight -= 1
        // With nothing unanswered it goes on in any case: there is no other occasion to.
        if inFlight == 0 || (inFlight <= Self.inFlightResume && !shard.isLogBehind) { resume(.inFlight) }
        if isEnding { endIfAnswered() }
    }

    private func awaitPlace(_ place: EntryPlace, _ acknowledgement: UnsafeRawBufferPointer) {
        waitingAcks[place] = Array(acknowledgement)
        if waitingAcks.count >= Self.waitingAcksMax { pause(.acknowledgements) }
    }

    private func takeWaitingAck(_ place: EntryPlace) -> [UInt8]? {
        guard !waitingAcks.isEmpty, let acknowledgement = waitingAcks.removeValue(forKey: place) else { return nil }
        if waitingAcks.count <= Self.waitingAcksResume { resume(.acknowledgements) }
        return acknowledgement
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
        if inFlight == 0, !pauses.contains(.lookUp) { end() }
    }

    private func end() {
        // Their places do not come any more; what they say is stored all the same (DESIGN R7).
        for (_, acknowledgement) in waitingAcks.sorted(by: { $0.key.sequence < $1.key.sequence }) {
            acknowledgement.withUnsafeBytes { connection.send(.text, $0) }
        }
        waitingAcks = [:]
        close(.drain)
    }

    // MARK: - Positions

    /// The user's stored positions: `Welcome` goes out, then what lies past them.
    func place(_ positions: [MemberPosition]) {
        guard connection.isOpen else { return }
        for position in positions {
            cursors[position.conversationID, default: DeliveryCursor()]
                .place(at: position.delivered, head: position.head)
        }
        isPlaced = true
        connection.send(
            text: ServerFrame.welcome(
                identity,
                connectionID: "\(id.shard)-\(id.number)",
                heartbeatMilliseconds: shard.limits.heartbeatMilliseconds,
                heads: positions.prefix(shard.limits.welcomeHeadsMax).map { ($0.conversationID, $0.head) },
                now: .now()
            )
        )
        acknowledgePassed { _ in true }
        for (conversationID, cursor) in cursors where cursor.isBehind { readOn(conversationID) }
    }

    /// Sends the `Ack`s whose entry another device has taken before this one got to its place.
    private func acknowledgePassed(_ isWanted: (String) -> Bool) {
        guard !waitingAcks.isEmpty else { return }
        for place in Array(waitingAcks.keys) where isWanted(place.conversationID) {
            guard let sent = cursors[place.conversationID]?.sent, place.sequence <= sent else { continue }
            takeWaitingAck(place)?.withUnsafeBytes { connection.send(.text, $0) }
        }
    }

    private func placeOne(_ conversationID: String, _ position: MemberPosition?) {
        guard let position else {
            // No member (any more): nothing of it is sent.
            cursors[conversationID] = nil
            return
        }
        cursors[conversationID, default: DeliveryCursor()].place(at: position.delivered, head: position.head)
        acknowledgePassed { $0 == conversationID }
        readOn(conversationID)
    }

    private func takeDelivered(_ conversationID: String, _ sequence: Int) {
        // Past what this connection was sent nothing can have been taken.
        guard let sent = cursors[conversationID]?.sent else { return }
        let receipt = Receipt(kind: .delivered, conversationID: conversationID, sequence: min(sequence, sent))
        shard.log.move(receipt, of: identity.userID, from: id)
    }

    // MARK: - Entries out

    /// A committed entry of a conversation of this user's.
    ///
    /// - Parameters:
    ///   - text: Its stored text.
    ///   - acknowledgement: Given when the entry is this connection's own: sent in place of the entry.
    func deliver(
        _ conversationID: String,
        _ sequence: Int,
        text: UnsafeRawBufferPointer,
        acknowledgement: UnsafeRawBufferPointer? = nil
    ) {
        switch cursors[conversationID, default: DeliveryCursor()].offer(sequence) {
        case .send(let isFirstMove):
            if let acknowledgement { connection.send(.text, acknowledgement) } else { sendEntry(sequence, text) }
            if isFirstMove { noteMoved(conversationID) }
        case .passed:
            if let acknowledgement { connection.send(.text, acknowledgement) }
        case .behind(let needsRead):
            if let acknowledgement {
                awaitPlace(EntryPlace(conversationID: conversationID, sequence: sequence), acknowledgement)
            }
            if needsRead && isPlaced { readOn(conversationID) }
        }
    }

    /// The `Ack` of an entry that was stored before, by this or an earlier connection.
    func acknowledgeRepeat(_ conversationID: String, _ sequence: Int, _ acknowledgement: UnsafeRawBufferPointer) {
        let cursor = cursors[conversationID] ?? DeliveryCursor()
        if let sent = cursor.sent, sequence <= sent {
            connection.send(.text, acknowledgement)
        } else {
            cursors[conversationID, default: DeliveryCursor()].note(head: sequence)
            awaitPlace(EntryPlace(conversationID: conversationID, sequence: sequence), acknowledgement)
            if isPlaced { readOn(conversationID) }
        }
    }

    /// A conversation of this user's reaches that far: reads what is missing.
    func noteHead(_ conversationID: String, _ head: Int) {
        cursors[conversationID, default: DeliveryCursor()].note(head: head)
        if isPlaced { readOn(conversationID) }
    }

    private func sendEntry(_ sequence: Int, _ text: UnsafeRawBufferPointer) {
        let digits = Decimal.digitCount(sequence)
        let head: StaticString = #"{"seq":"#
        let headLength = head.utf8CodeUnitCount
        connection.send(.text, payloadLength: headLength + digits + 1 + text.count) { place in
            place.copyMemory(from: UnsafeRawBufferPointer(start: head.utf8Start, count: headLength))
            Decimal.write(
                sequence,
                into: UnsafeMutableRawBufferPointer(rebasing: place[headLength..<headLength + digits])
            )
            place[headLength + digits] = UInt8(ascii: ",")
            UnsafeMutableRawBufferPointer(rebasing: place[(headLength + digits + 1)...]).copyMemory(from: text)
        }
    }

    // MARK: - Reading what was missed

    private func readOn(_ conversationID: String) {
        guard connection.isOpen, var cursor = cursors[conversationID], !cursor.isReading else { return }
        guard cursor.isBehind else { return }
        // From now on, also while the read waits its turn, live entries of the conversation wait for it.
        cursor.beginReading()
        cursors[conversationID] = cursor
        readsDue.append(conversationID)
        readNext()
    }

    private func readNext() {
        guard !isReadUnderWay, connection.isOpen, !readsDue.isEmpty else { return }
        if connection.outboundCount > Self.pageBytes { return connection.notifyWhenDrained() }
        guard let conversationID = readsDue.popFirst(), let cursor = cursors[conversationID] else { return readNext() }
        isReadUnderWay = true
        if let sent = cursor.sent {
            shard.read(conversationID, after: sent, for: self)
        } else {
            shard.readPosition(conversationID, for: self)
        }
    }

    /// The answer to `GatewayShard.readPosition`.
    func takePosition(_ conversationID: String, _ answer: Result<MemberPosition?, any Error>) {
        guard connection.isOpen else { return }
        isReadUnderWay = false
        switch answer {
        case .success(let position): placeOne(conversationID, position)
        case .failure: close(.overload)
        }
        readNext()
    }

    /// The answer to `GatewayShard.read`: sends the page, and reads on until the head is reached, at the pace of the
    /// socket.
    func takePage(_ conversationID: String, _ answer: Result<EntryPage, any Error>) {
        guard connection.isOpen else { return }
        isReadUnderWay = false
        guard case .success(let page) = answer, var cursor = cursors[conversationID] else { return close(.overload) }
        cursor.endReading()
        cursor.note(head: page.head)
        page.bytes.withUnsafeBytes { bytes in
            for entry in page.entries {
                guard case .send(let isFirstMove) = cursor.takeRead(entry.sequence) else { continue }
                if isFirstMove { noteMoved(conversationID) }
                let place = EntryPlace(conversationID: conversationID, sequence: entry.sequence)
                if let acknowledgement = takeWaitingAck(place) {
                    acknowledgement.withUnsafeBytes { connection.send(.text, $0) }
                } else {
                    sendEntry(entry.sequence, UnsafeRawBufferPointer(rebasing: bytes[entry.text]))
                }
            }
        }
        // The slow-consumer limit may have closed the connection meanwhile.
        guard connection.isOpen else { return }
        cursors[conversationID] = cursor
        if cursor.isBehind {
            if page.entries.isEmpty { return close(.overload) }
            readOn(conversationID)
        }
        readNext()
    }

    func drained() { readNext() }

    // MARK: - Liveness

    private func noteMoved(_ conversationID: String) {
        if moved.isEmpty && pinged.isEmpty { shard.sessionMoved(self) }
        moved.append(conversationID)
    }

    /// A ping that carries a number; what was sent before it is taken when its pong comes.
    ///
    /// While one is unanswered the same number goes out again: a slow client's pong still counts.
    func ping() {
        if pinged.isEmpty { coverMoves() }
        withUnsafeBytes(of: pingNumber.bigEndian) { connection.send(.ping, $0) }
    }

    private func coverMoves() {
        pingNumber &+= 1
        for conversationID in moved {
            guard let sent = cursors[conversationID]?.coverByPing() else { continue }
            pinged.append((conversationID, sent))
        }
        moved = []
    }

    func received(pong: UnsafeRawBufferPointer) {
        heard()
        // Only the newest ping's pong counts: it covers what older ones did.
        guard pong.elementsEqual(withUnsafeBytes(of: pingNumber.bigEndian) { Array($0) }) else { return }
        for (conversationID, sequence) in pinged {
            let receipt = Receipt(kind: .delivered, conversationID: conversationID, sequence: sequence)
            shard.log.move(receipt, of: identity.userID, from: id)
        }
        pinged = []
        if !moved.isEmpty { shard.sessionMoved(self) }
    }

    /// The session goes on under a refreshed id, or for longer.
    func sessionContinues(hash: String, expiresAt: Timestamp) {
        sessionHash = hash
        self.expiresAt = expiresAt
    }

    func closed(code: CloseCode?) {
        shard.sessionClosed(self)
    }
}
