import Contracts
import Core
import Net

/// What other gateways have committed: brought to the sessions here by their hints, and by reading heads where a hint
/// may have been missed (DESIGN R2, R5, R6).
extension GatewayShard {
    private static let headReadInterval = Duration.milliseconds(100)
    /// Rounds over everybody's heads are so much rarer while no other gateway is registered: one that presence has
    /// lost sight of may commit all the same.
    private static let aloneFactor: Int64 = 10
    /// Over the longest lease, in milliseconds: clocks are read in whole ones.
    private static let leaseMargin = 10

    // MARK: - Hints

    /// These conversations reach that far for these members.
    ///
    /// Who has all that precedes the texts that came along is sent these. For the others a conversation is read, once
    /// for all that have the same to get; who is further behind, or is reading already, reads by itself.
    func hinted(_ hints: [DeliveryHint]) {
        var toRead: [String] = []
        for hint in hints {
            for userID in hint.userIDs {
                for session in sessions.sessions(of: userID) where take(hint, for: session) {
                    toRead.append(hint.conversationID)
                }
            }
        }
        metrics.delivered(deliveries)
        deliveries = 0
        for conversationID in toRead { readHinted(conversationID) }
    }

    /// Whether a read is to be begun.
    private func take(_ hint: DeliveryHint, for session: ClientSession) -> Bool {
        switch session.reach(of: hint) {
        case .reached: return false
        case .atHand:
            for (offset, text) in hint.texts.enumerated() {
                text.withUnsafeBytes {
                    session.deliver(hint.conversationID, hint.firstSequence + offset, text: $0)
                }
            }
            deliveries += hint.texts.count
            return false
        case .together:
            return hintReads.note(hint.conversationID, .init(session: session.id.number, head: hint.head))
        case .alone:
            session.noteHead(hint.conversationID, hint.head)
            return false
        }
    }

    private func readHinted(_ conversationID: String) {
        inTurn(isUrgent: true) { [self] in
            let readers = hintReads.begin(conversationID)
            let starts = readers.compactMap { sessions[$0.session]?.delivery.sent(in: conversationID) }
            guard let start = starts.min() else { return takeHinted(conversationID, .success(EntryPage())) }
            metrics.hintRead()
            let bound = LoopBound(self, loop: loop)
            log.read(
                conversationID,
                .after(start),
                limit: ClientSession.pageEntries,
                bytesMax: ClientSession.pageBytes
            ) { [loop] answer in
                loop.submit { bound.value.takeHinted(conversationID, answer) }
            }
        }
    }

    private func takeHinted(_ conversationID: String, _ answer: Result<EntryPage, any Error>) {
        defer { turnEnded() }
        let (readers, isNextDue) = hintReads.end(conversationID)
        if case .success(let page) = answer { deliver(page, of: conversationID, to: readers) }
        // What is still missing each reads by itself.
        for reader in readers {
            guard let session = sessions[reader.session] else { continue }
            let isMissing = session.delivery.sent(in: conversationID).map { $0 < reader.head } ?? true
            if isMissing { session.noteHead(conversationID, reader.head) }
        }
        if isNextDue { readHinted(conversationID) }
    }

    private func deliver(_ page: EntryPage, of conversationID: String, to readers: [HintReads.Reader]) {
        page.bytes.withUnsafeBytes { bytes in
            for entry in page.entries {
                let text = UnsafeRawBufferPointer(rebasing: bytes[entry.text])
                for reader in readers where entry.sequence <= reader.head {
                    // Of its own entries that are on their way it gets the `Ack`s: it reads by itself.
                    guard let session = sessions[reader.session], session.delivery.ownUnderWay == 0 else { continue }
                    session.deliver(conversationID, entry.sequence, text: text)
                    deliveries += 1
                }
                if RoutingEntry.isText(text), let customerID = ConversationName.customer(of: conversationID) {
                    routingRead(by: customerID)
                }
            }
        }
        metrics.delivered(deliveries)
        deliveries = 0
    }

    // MARK: - Heads

    /// Starts looking for heads to read; with a log that no other gateway can share there is nothing to look for.
    func startReadingHeads() {
        guard let peers else { return }
        _ = loop.schedule(after: Self.headReadInterval) { [self] in
            let interval = limits.sweepMilliseconds * (peers.isAlone ? Self.aloneFactor : 1)
            headReads.beginRound({ sessions.userIDs }, over: interval, now: Monotonic.milliseconds())
            readHeads()
            startReadingHeads()
        }
    }

    /// Presence has answered joins: until a longest lease later another gateway may not know of them.
    func joined(_ userIDs: [String]) {
        guard let peers else { return }
        headReads.joined(
            userIDs.filter { !sessions.sessions(of: $0).isEmpty },
            now: Monotonic.milliseconds(),
            leaseMilliseconds: peers.longestLease + Self.leaseMargin
        )
        readHeads()
    }

    /// Some gateway has committed what it may have told nobody, or had more to tell than it keeps.
    func readAllHeads() {
        headReads.lost(sessions.userIDs, now: Monotonic.milliseconds())
        readHeads()
    }

    /// A customer's read has brought a routing entry: who serves them only the stored state says for certain.
    func routingRead(by userID: String) {
        // One that was appended here has been noted.
        guard peers?.isAlone == false, !sessions.sessions(of: userID).isEmpty else { return }
        headReads.makeDue(userID)
        readHeads()
    }

    private func readHeads() {
        for userID in headReads.next(now: Monotonic.milliseconds()) {
            inTurn { [self] in
                guard !sessions.sessions(of: userID).isEmpty else { return takeHeads(userID, .success([])) }
                metrics.headsRead()
                let bound = LoopBound(self, loop: loop)
                log.positions(of: userID, naming: unsettled(userID)) { [loop] answer in
                    loop.submit {
                        bound.value.takeHeads(userID, answer)
                        bound.value.readHeads()
                    }
                }
            }
        }
    }

    /// Conversations that a session of the user's may not have had all of, although their membership has ended and
    /// another device has had it: they are among the positions only when they are named.
    private func unsettled(_ userID: String) -> [String] {
        var names: Set<String> = []
        for session in sessions.sessions(of: userID) { names.formUnion(session.delivery.unsettled) }
        return Array(names)
    }

    private func takeHeads(_ userID: String, _ answer: Result<[MemberPosition], any Error>) {
        defer { turnEnded() }
        let positions = try? answer.get()
        headReads.ended(userID, isRead: positions != nil, now: Monotonic.milliseconds())
        guard let positions else { return }
        let sessions = sessions.sessions(of: userID)
        for session in sessions {
            for position in positions { session.note(position) }
        }
        if let session = sessions.first { served(session, positions) }
    }

    /// Who serves a customer, which another gateway's entry may have changed.
    private func served(_ session: ClientSession, _ positions: [MemberPosition]) {
        let userID = session.identity.userID
        guard session.identity.userType == .customer else { return }
        let own = positions.first { $0.conversationID == ConversationName.ofCustomer(userID) }
        serving.set(own?.agentID, for: userID)
        if own?.agentID != nil {
            for session in sessions.sessions(of: userID) { session.leftQueue() }
        } else if let place = queue.place(of: userID) {
            tell([place])
        }
    }
}
