import Contracts
import Core

/// Requests between gateways and presence, and between gateways: delayed, lost, copied, refused by a partition.
extension DeliveryWorld {
    mutating func send(_ request: Request, from gateway: Int) {
        put(Message(gateway: gateway, incarnation: gateways[gateway].incarnation, request: request))
    }

    mutating func deliverAny() {
        guard !wire.isEmpty else { return }
        let index = random.next(below: wire.count)
        guard wire[index].notBefore <= now.monotonic else { return }
        wire.swapAt(index, wire.count - 1)
        deliver(wire.removeLast())
    }

    /// Puts a message on its way; some are held up for long.
    private mutating func put(_ message: Message) {
        var message = message
        if isFaulty, chance(10) { message.notBefore = now.monotonic + Int64(random.next(below: 2000)) }
        wire.append(message)
    }

    mutating func deliver(_ message: Message) {
        let isSender = gateways[message.gateway].isUp && gateways[message.gateway].incarnation == message.incarnation
        if let answer = message.answer {
            guard isSender, !message.isCopy else { return }
            if isFaulty, chance(8) { failed(message) } else { answered(message, answer) }
            return work(message.gateway)
        }
        if isFaulty, !message.isCopy, chance(8) {
            var copy = message
            copy.isCopy = true
            put(copy)
        }
        guard !isRefused(message), !isFaulty || !chance(8), let answer = serve(message) else {
            if isSender, !message.isCopy {
                failed(message)
                work(message.gateway)
            }
            return
        }
        var answered = message
        answered.answer = answer
        put(answered)
    }

    private func isRefused(_ message: Message) -> Bool {
        switch message.request {
        case .heartbeat, .events, .locate: return isCutOff[message.gateway]
        case .hint(let request):
            guard let target = target(request) else { return true }
            return isParted[message.gateway] || isParted[target] || !gateways[target].isUp
        }
    }

    private func target(_ request: HintQueue.Request) -> Int? {
        gateways.firstIndex { $0.id == request.peer.gatewayID }
    }

    /// The other side takes the request.
    private mutating func serve(_ message: Message) -> Answer? {
        switch message.request {
        case .heartbeat(let connections, _):
            let answer = presence.heartbeat(
                gateways[message.gateway].id,
                incarnation: message.incarnation,
                connections: connections,
                draining: false,
                now: now
            )
            return answer.map { .registration($0) }
        case .events(let batch): return .taken(presence.take(batch, now: now))
        case .locate(let question): return .locations(presence.locate(question.userIDs))
        case .hint(let request):
            guard let target = target(request) else { return nil }
            take(request.hints, at: target)
            return .done
        }
    }

    private mutating func failed(_ message: Message) {
        let gateway = message.gateway
        switch message.request {
        case .heartbeat: gateways[gateway].isHeartbeatUnderWay = false
        case .events: gateways[gateway].isBatchUnderWay = false
        case .locate(let question): gateways[gateway].router.unanswered(question, now: now.monotonic)
        case .hint(let request):
            if bug == .hintNotRetried {
                gateways[gateway].router.taken(request)
            } else {
                gateways[gateway].router.failed(request, now: now.monotonic)
            }
        }
    }

    private mutating func answered(_ message: Message, _ answer: Answer) {
        let gateway = message.gateway
        switch (message.request, answer) {
        case (.heartbeat(_, let sentAt), .registration(let registration)):
            gateways[gateway].isHeartbeatUnderWay = false
            take(registration, sentAt: sentAt, at: gateway)
        case (.events(let batch), .taken(let isTaken)):
            gateways[gateway].isBatchUnderWay = false
            take(batch, isTaken: isTaken, at: gateway)
        case (.locate(let question), .locations(var locations)):
            if bug == .leaseFromReceipt {
                locations.leaseMilliseconds += Int(now.monotonic - question.sentAt)
            }
            gateways[gateway].router.answered(question, locations, now: now.monotonic)
        case (.hint(let request), .done): gateways[gateway].router.taken(request)
        default: break
        }
    }

    // MARK: - Presence's answers

    private mutating func take(_ answer: GatewayRegistration, sentAt: Int64, at gateway: Int) {
        gateways[gateway].events.registered(answer.registration)
        let isLost = gateways[gateway].router.heard(answer, sentAt: sentAt, now: now.monotonic)
        guard isLost, hasKills, bug != .crashBetweenCommitAndHint, bug != .lossNotHeard else { return }
        let userIDs = gateways[gateway].userIDs
        gateways[gateway].reads.lost(userIDs, now: now.monotonic)
    }

    /// Events were applied, or refused.
    private mutating func take(_ batch: PresenceEvents, isTaken: Bool, at gateway: Int) {
        guard isTaken else {
            gateways[gateway].events.loseContinuity()
            gateways[gateway].heartbeatAt = now.monotonic
            return
        }
        let joined = gateways[gateway].events.taken(
            registration: batch.registration,
            first: batch.first,
            count: batch.events.count
        )
        let isAnnouncement = batch.events.first?.kind == .announceBegin
        switch bug {
        case .registerAfterRead: break
        case .noReadAfterAnnouncing where isAnnouncement: break
        case .foreignJoinAnswer: readAll(at: gateway)
        default: read(joined, at: gateway)
        }
    }

    private mutating func read(_ userIDs: [String], at gateway: Int) {
        gateways[gateway].reads.joined(
            userIDs,
            now: now.monotonic,
            leaseMilliseconds: gateways[gateway].router.list.longestLease
        )
    }

    /// A mistake: every connection takes the first answer that comes for its own.
    private mutating func readAll(at gateway: Int) {
        var userIDs: Set<String> = []
        for session in gateways[gateway].sessions
        where gateways[gateway].answered.insert(session.connection).inserted {
            userIDs.insert(session.identity.userID)
        }
        read(userIDs.sorted(), at: gateway)
    }

    // MARK: - Hints

    /// Another gateway's hints: each member's connections here are sent the texts, or read on.
    private mutating func take(_ hints: DeliveryHints, at gateway: Int) {
        if hints.readAll {
            for userID in gateways[gateway].userIDs { gateways[gateway].reads.makeDue(userID) }
        }
        var toRead: [String] = []
        for hint in hints.entries {
            for index in gateways[gateway].sessions.indices {
                guard hint.userIDs.contains(gateways[gateway].sessions[index].identity.userID) else { continue }
                if take(hint, index, at: gateway) { toRead.append(hint.conversationID) }
            }
        }
        for id in toRead { readShared(id, at: gateway) }
        work(gateway)
    }

    /// Whether a read is to be begun that others share.
    private mutating func take(_ hint: DeliveryHint, _ index: Int, at gateway: Int) -> Bool {
        let reach = gateways[gateway].sessions[index].delivery.reach(
            of: hint.conversationID,
            to: hint.head,
            from: hint.firstSequence,
            spanMax: 200
        )
        switch reach {
        case .reached: break
        case .together:
            let connection = UInt64(gateways[gateway].sessions[index].connection)
            return gateways[gateway].hintReads.note(hint.conversationID, .init(session: connection, head: hint.head))
        case .alone:
            gateways[gateway].sessions[index].delivery.note(hint.conversationID, head: hint.head)
        case .atHand:
            guard let conversation = log.index(of: hint.conversationID) else { return false }
            for (offset, text) in hint.texts.enumerated() {
                let sequence = hint.firstSequence + offset
                if text != Self.text(conversation, sequence)[...] {
                    faults.append("the text of \(hint.conversationID) \(sequence) is another one's")
                }
                deliver(conversation, sequence, to: index, at: gateway)
            }
        }
        return false
    }
}
