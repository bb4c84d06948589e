import Contracts
import Core
import Net
import Transport
import WebSocket

/// What the log has committed, and what presence has to say, to the sessions here.
extension GatewayShard {
    // MARK: - Entries

    /// Batches that are committed (or failed), of any shard: delivers to this shard's sessions.
    func committed(_ batches: [AppendBatch]) {
        for batch in batches {
            for append in batch.appends { settle(append, batch) }
        }
        metrics.delivered(deliveries)
        deliveries = 0
    }

    private func settle(_ append: Append, _ batch: AppendBatch) {
        if append.origin?.shard == index { intake.answered() }
        let origin = append.origin.flatMap { $0.shard == index ? sessions[$0.number] : nil }
        // Last: it may take the next message, or end a drain that waits for this answer.
        defer { origin?.appendEnded(append.kind) }
        switch append.outcome {
        case .pending: break
        case .failed(let problem):
            let echo = FrameEcho(clientID: append.clientID, conversationID: append.conversationID)
            origin?.refuse(problem, echo)
        case .appended(let sequence, let audience):
            if append.kind != .chat { noteRouting(append) }
            let waiting = batch.bytes.waiting
            let text = UnsafeRawBufferPointer(rebasing: waiting[append.text])
            for member in audience {
                for session in sessions.sessions(of: member) where session !== origin {
                    session.deliver(append.conversationID, sequence, text: text)
                    deliveries += 1
                }
            }
            guard let origin else {
                if append.kind == .transferred(agentID: nil) { tellPlace(in: append.conversationID) }
                return
            }
            let acknowledged = UnsafeRawBufferPointer(rebasing: waiting[append.acknowledged])
            let acknowledgement = acknowledgement(acknowledged, sequence, append.clientID)
            // Who recalls a message after their membership has ended is told, but gets no entry.
            if append.kind == .chat || audience.contains(origin.identity.userID) {
                origin.deliver(append.conversationID, sequence, text: text, acknowledgement: acknowledgement)
            } else {
                origin.connection.send(.text, acknowledgement)
            }
        case .repeated(let sequence, let stored, let audience):
            // DESIGN R1: a repeat does all of it again, so that a crash after the commit leaves nobody untold.
            for member in audience {
                for session in sessions.sessions(of: member) where session !== origin {
                    session.noteHead(append.conversationID, sequence)
                }
            }
            guard let origin, let range = StoredEntry.acknowledged(in: stored) else { return }
            stored.withUnsafeBytes { bytes in
                let acknowledged = UnsafeRawBufferPointer(rebasing: bytes[range])
                let acknowledgement = acknowledgement(acknowledged, sequence, append.clientID)
                if audience.contains(origin.identity.userID) {
                    origin.acknowledgeRepeat(append.conversationID, sequence, acknowledgement)
                } else {
                    origin.connection.send(.text, acknowledgement)
                }
            }
        }
    }

    /// An `Ack`, in a buffer that the next one uses again.
    private func acknowledgement(
        _ acknowledged: UnsafeRawBufferPointer,
        _ sequence: Int,
        _ clientID: String?
    ) -> UnsafeRawBufferPointer {
        acknowledgements.removeAll(keepingCapacity: true)
        ServerFrame.acknowledgement(acknowledged, sequence: sequence, clientID: clientID, to: &acknowledgements)
        return acknowledgements.waiting
    }

    /// Sends receipts to their conversations' members, the user's own other devices included.
    func tell(_ moves: [PositionMove]) {
        let now = Timestamp.now()
        for move in moves {
            for member in move.members {
                for session in sessions.sessions(of: member) where session.id != move.origin {
                    send(.delivered, move.delivered, of: move, to: session, now)
                    send(.read, move.read, of: move, to: session, now)
                }
            }
        }
    }

    private func send(
        _ kind: Receipt.Kind,
        _ sequence: Int?,
        of move: PositionMove,
        to session: ClientSession,
        _ now: Timestamp
    ) {
        guard let sequence else { return }
        session.connection.send(
            text: ServerFrame.receipt(
                kind,
                conversationID: move.conversationID,
                userID: move.userID,
                sequence: sequence,
                now: now
            )
        )
    }

    /// Passes a user's frame on that is of the moment: a connection that has much to take already goes without, so that
    /// nobody can be closed as a slow reader by it.
    func pass(_ frame: String, to userIDs: [String]) {
        for userID in userIDs {
            for session in sessions.sessions(of: userID)
            where session.connection.outboundCount <= ClientSession.pageBytes {
                session.connection.send(text: frame)
            }
        }
    }

    // MARK: - Presence

    /// Presence news: agents hear of everybody, each agent all at once, so that one buffer at a time exists; a customer
    /// of the agent that serves them.
    func tell(_ news: [PresenceNewsFrame]) {
        sessions.forEachAgent { agent in
            for session in agent {
                for item in news { session.connection.send(text: item.text) }
                session.connection.flush()
            }
        }
        for item in news where item.isOfAgent {
            for customer in serving.customers(of: item.userID) {
                for session in sessions.sessions(of: customer) { session.connection.send(text: item.text) }
            }
        }
    }

    // MARK: - Routing

    /// The positions of a session's user were read: for a customer they say who serves them.
    func placed(_ session: ClientSession, _ positions: [MemberPosition]) {
        guard session.identity.userType == .customer else { return }
        let own = ConversationName.ofCustomer(session.identity.userID)
        if let agentID = positions.first(where: { $0.conversationID == own })?.agentID {
            serving.set(agentID, for: session.identity.userID)
        } else if let place = queue.place(of: session.identity.userID) {
            session.tell(place)
        }
    }

    /// An entry that says who serves a customer from here on.
    private func noteRouting(_ append: Append) {
        let agentID: String?
        switch append.kind {
        case .assigned(let assigned): agentID = assigned
        case .transferred(let assigned): agentID = assigned
        case .closed: agentID = nil
        case .chat, .recall: return
        }
        guard let customerID = ConversationName.customer(of: append.conversationID) else { return }
        let customers = sessions.sessions(of: customerID)
        guard !customers.isEmpty else { return }
        serving.set(agentID, for: customerID)
        for session in customers { session.leftQueue() }
    }

    /// A conversation is back in the queue: the queue that shows it may have come before the entry, when the customer
    /// still counted as served.
    private func tellPlace(in conversationID: String) {
        guard let customerID = ConversationName.customer(of: conversationID), let place = queue.place(of: customerID)
        else { return }
        tell([place])
    }

    /// Customers are told of their place in the queue.
    func tell(_ places: [QueuePlace]) {
        for place in places where !serving.isServed(place.customerID) {
            for session in sessions.sessions(of: place.customerID) { session.tell(place) }
        }
    }
}
