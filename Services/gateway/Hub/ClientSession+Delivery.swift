import Core
import Net
import Transport
import WebSocket

/// Carries out what `DeliveryState` says: entries, `Ack`s, reads, `Sync`, pings.
extension ClientSession {
    // MARK: - Beginning

    /// Reads the user's stored positions: `Welcome` goes out with them, then what lies past them, or after a `Sync`
    /// what that asks for.
    func begin() {
        shard.readPositions(of: self, naming: []) { session, positions in session.place(positions) }
        guard delivery.phase == .awaitingSync else { return }
        _ = shard.loop.schedule(after: .milliseconds(shard.limits.syncMilliseconds)) { [weak self] in
            // None came: it counts as empty.
            guard let self, connection.isOpen, delivery.phase == .awaitingSync else { return }
            do { try sync([]) } catch { close(.overload) }
        }
    }

    private func place(_ positions: [MemberPosition]) {
        guard connection.isOpen else { return }
        connection.send(
            text: ServerFrame.welcome(
                identity,
                connectionID: "\(id.shard)-\(id.number)",
                heartbeatMilliseconds: shard.limits.heartbeatMilliseconds,
                heads: positions.prefix(shard.limits.welcomeHeadsMax).map { ($0.conversationID, $0.head) },
                now: .now()
            )
        )
        shard.placed(self, positions)
        if delivery.phase == .placing { carryOut(delivery.place(positions)) }
    }

    /// `Sync`: the positions of this connection.
    func sync(_ cursors: [SyncCursor]) throws(FrameProblem) {
        guard delivery.beginSync() else {
            throw FrameProblem(
                code: .syncUnexpected,
                message: "Sync: goes once, first, on a connection that was opened with sync=1"
            )
        }
        // What is not theirs to read is not looked for: it is refused all the same.
        let named = cursors.map(\.conversationID).filter { ConversationName.isReadable($0, by: identity) }
        shard.readPositions(of: self, naming: named) { session, positions in
            guard session.connection.isOpen else { return }
            let own = ConversationName.ofCustomer(session.identity.userID)
            let isCustomer = session.identity.userType == .customer
            session.carryOut(session.delivery.sync(cursors, positions) { isCustomer && $0 == own })
        }
    }

    private func carryOut(_ outputs: [DeliveryState.Output]) {
        var refused = 0
        for output in outputs {
            switch output {
            case .acknowledgement(let acknowledgement):
                acknowledgement.withUnsafeBytes { connection.send(.text, $0) }
            case .gap(let conversationID, let from, let to):
                connection.send(text: ServerFrame.gap(conversationID: conversationID, from: from, to: to))
            case .refusedCursor(let conversationID, let isForeign, let head):
                guard refused < Self.refusedCursorsMax else { continue }
                let problem =
                    isForeign
                    ? ConversationName.unknown
                    : FrameProblem(code: .cursorOutOfRange, message: "cursors: must be from 0 to the head, \(head)")
                let echo = FrameEcho(conversationID: conversationID)
                // One frame is one refused frame, however many of its cursors are.
                if refused == 0 {
                    refuse(problem, echo)
                } else {
                    connection.send(text: ServerFrame.error(problem, echo: echo, now: .now()))
                }
                refused += 1
            case .synced(let heads):
                let listed = heads.prefix(shard.limits.welcomeHeadsMax).map { ($0.conversationID, $0.head) }
                connection.send(text: ServerFrame.synced(heads: listed))
            }
        }
        if !outputs.isEmpty { waitingAcksChanged() }
        readNext()
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
        // Of an own entry the `Ack` is kept; another one has to be read in any case, and so what precedes it.
        switch delivery.offer(
            conversationID,
            sequence,
            mayBeFilled: acknowledgement != nil && shard.peers?.isAlone == false
        ) {
        case .send(let isFirstMove):
            if let acknowledgement { connection.send(.text, acknowledgement) } else { sendEntry(sequence, text) }
            if delivery.waitingAckCount > 0 { sendWaiting(conversationID) }
            if isFirstMove { pingSoon() }
        case .passed:
            if let acknowledgement { connection.send(.text, acknowledgement) }
        case .behind:
            if let acknowledgement { keep(acknowledgement, conversationID, sequence) }
            if delivery.newConversationCount > shard.limits.newConversationsMax { return close(.overload) }
            if delivery.hasGaps { shard.gapFound(by: self) }
            readNext()
        }
    }

    /// `Ack`s of entries that follow what was sent now.
    private func sendWaiting(_ conversationID: String) {
        while case let kept = delivery.takeNextWaiting(conversationID), !kept.isEmpty { send(kept) }
        waitingAcksChanged()
    }

    private func send(_ acknowledgements: [[UInt8]]) {
        for acknowledgement in acknowledgements { acknowledgement.withUnsafeBytes { connection.send(.text, $0) } }
    }

    /// What hints have not filled is read.
    func readGaps() {
        guard connection.isOpen else { return }
        delivery.readGaps()
        readNext()
    }

    /// The `Ack` of an entry that was stored before, by this or an earlier connection.
    func acknowledgeRepeat(_ conversationID: String, _ sequence: Int, _ acknowledgement: UnsafeRawBufferPointer) {
        if delivery.offerRepeat(conversationID, sequence) {
            connection.send(.text, acknowledgement)
        } else {
            keep(acknowledgement, conversationID, sequence)
            readNext()
        }
    }

    private func keep(_ acknowledgement: UnsafeRawBufferPointer, _ conversationID: String, _ sequence: Int) {
        delivery.keep(Array(acknowledgement), for: conversationID, sequence)
        waitingAcksChanged()
    }

    /// A conversation of this user's reaches that far: reads what is missing.
    func noteHead(_ conversationID: String, _ head: Int) {
        delivery.note(conversationID, head: head)
        headNoted()
    }

    /// The same, from the user's stored position.
    func note(_ position: MemberPosition) {
        delivery.note(position)
        headNoted()
    }

    private func headNoted() {
        if delivery.newConversationCount > shard.limits.newConversationsMax { return close(.overload) }
        readNext()
    }

    /// How what another gateway hints at gets to this connection.
    func reach(of hint: DeliveryHint) -> DeliveryState.Reach {
        let reach = delivery.reach(
            of: hint.conversationID,
            to: hint.head,
            from: hint.firstSequence,
            spanMax: Self.pageEntries
        )
        // While much waits for the socket it reads at the socket's pace.
        return reach != .reached && connection.outboundCount > Self.pageBytes ? .alone : reach
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

    /// Begins the next read, unless much waits for the socket: then it goes on when that is taken.
    private func readNext() {
        guard delivery.wantsRead, connection.isOpen else { return }
        if connection.outboundCount > Self.pageBytes { return connection.notifyWhenDrained() }
        if let read = delivery.nextRead() { shard.read(read, for: self) }
    }

    func drained() { readNext() }

    /// The answer to `DeliveryState.Read.position`.
    func takePosition(_ conversationID: String, _ answer: Result<MemberPosition?, any Error>) {
        guard connection.isOpen else { return }
        guard case .success(let position) = answer else { return close(.overload) }
        carryOut(delivery.takePosition(conversationID, position))
    }

    /// The answer to `DeliveryState.Read.entries`: sends the page, and reads on until the head is reached, at the pace
    /// of the socket.
    func takePage(_ conversationID: String, _ answer: Result<EntryPage, any Error>) {
        guard connection.isOpen else { return }
        guard case .success(let page) = answer else { return close(.overload) }
        if delivery.holdPage() { heldPage = (conversationID, page) } else { take(page, of: conversationID) }
    }

    /// Own entries that the page may hold were answered meanwhile.
    func takeHeldPage() {
        guard let (conversationID, page) = heldPage else { return }
        heldPage = nil
        if connection.isOpen { take(page, of: conversationID) }
    }

    private func take(_ page: EntryPage, of conversationID: String) {
        var saysWhoServes = false
        page.bytes.withUnsafeBytes { bytes in
            for entry in page.entries {
                switch delivery.takeRead(conversationID, entry.sequence) {
                case .send:
                    let text = UnsafeRawBufferPointer(rebasing: bytes[entry.text])
                    sendEntry(entry.sequence, text)
                    saysWhoServes = saysWhoServes || RoutingEntry.isText(text)
                case .acknowledge(let kept):
                    send(kept)
                    waitingAcksChanged()
                case .skip: break
                }
            }
        }
        // The slow-consumer limit may have closed the connection meanwhile.
        guard connection.isOpen else { return }
        guard let outputs = delivery.endPage(conversationID, isEmpty: page.entries.isEmpty) else {
            return close(.overload)
        }
        if delivery.wantsPing { pingSoon() }
        if saysWhoServes, identity.userType == .customer { shard.routingRead(by: identity.userID) }
        carryOut(outputs)
    }

    // MARK: - Receipts

    /// `Delivered` or `Read`, of a conversation that is the user's.
    func take(_ receipt: Receipt, _ echo: FrameEcho) {
        if delivery.knows(receipt.conversationID) {
            shard.log.move(receipt, of: identity.userID, from: id)
        } else {
            shard.requests.receipt(receipt, echo, from: self)
        }
    }

    // MARK: - Pings

    private func pingSoon() {
        guard !isPingDue, delivery.wantsPing else { return }
        isPingDue = true
        shard.sessionMoved(self)
    }

    /// A ping that carries a number; what was sent before it is taken when its pong comes.
    ///
    /// While one is unanswered the same number goes out again: a slow client's pong still counts.
    func ping() {
        isPingDue = false
        if !delivery.isPingOpen {
            pingNumber &+= 1
            delivery.coverByPing()
        }
        withUnsafeBytes(of: pingNumber.bigEndian) { connection.send(.ping, $0) }
    }

    func received(pong: UnsafeRawBufferPointer) {
        heard()
        // Only the newest ping's pong counts: it covers what older ones did.
        guard pong.elementsEqual(withUnsafeBytes(of: pingNumber.bigEndian) { Array($0) }) else { return }
        for head in delivery.takePong() {
            let receipt = Receipt(kind: .delivered, conversationID: head.conversationID, sequence: head.head)
            shard.log.move(receipt, of: identity.userID, from: id)
        }
        pingSoon()
    }

    // MARK: - The queue

    /// The place in the queue, when it is newer and not what this connection was told last.
    func tell(_ place: QueuePlace) {
        guard place.version > placeVersion else { return }
        placeVersion = place.version
        defer { toldPlace = place }
        if let toldPlace, toldPlace.says(sameAs: place) { return }
        connection.send(
            text: place.isAgentPresent
                ? ServerFrame.queued(
                    conversationID: place.conversationID,
                    position: place.position,
                    reason: place.reason,
                    now: .now()
                )
                : ServerFrame.noAgentAvailable(
                    conversationID: place.conversationID,
                    position: place.position,
                    reason: place.reason,
                    now: .now()
                )
        )
    }

    func leftQueue() { toldPlace = nil }
}
