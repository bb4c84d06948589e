import Contracts
import Core

/// What a gateway does between its state machines: as `GatewayShard` and the links do, without I/O.
extension DeliveryWorld {
    /// Sends and asks what is due.
    mutating func work(_ gateway: Int) {
        guard gateways[gateway].isUp else { return }
        let time = now.monotonic
        if time >= gateways[gateway].heartbeatAt, !gateways[gateway].isHeartbeatUnderWay {
            gateways[gateway].isHeartbeatUnderWay = true
            gateways[gateway].heartbeatAt = time + SimulatedGateway.heartbeatMilliseconds
            send(.heartbeat(connections: gateways[gateway].sessions.count + 1, sentAt: time), from: gateway)
        }
        sendEvents(gateway)
        if let question = gateways[gateway].router.nextQuestion(now: time) { send(.locate(question), from: gateway) }
        for request in gateways[gateway].router.nextHints(now: time) { send(.hint(request), from: gateway) }
        if hasSweeps, bug != .crashBetweenCommitAndHint {
            let userIDs = gateways[gateway].userIDs
            gateways[gateway].reads.beginRound({ userIDs }, over: 30_000, now: time)
        }
        for userID in gateways[gateway].reads.next(now: time) {
            gateways[gateway].readsDue.append(.heads(userID))
        }
        for index in gateways[gateway].sessions.indices {
            readGaps(index, at: gateway)
            guard let read = gateways[gateway].sessions[index].delivery.nextRead() else { continue }
            let connection = gateways[gateway].sessions[index].connection
            gateways[gateway].readsDue.append(.next(connection: connection, read))
        }
    }

    private mutating func readGaps(_ index: Int, at gateway: Int) {
        let time = now.monotonic
        guard bug != .gapNotRead, gateways[gateway].sessions[index].delivery.hasGaps else {
            gateways[gateway].sessions[index].gapsAt = nil
            return
        }
        let due = gateways[gateway].sessions[index].gapsAt ?? time + SimulatedGateway.gapMilliseconds
        gateways[gateway].sessions[index].gapsAt = due
        guard time >= due else { return }
        gateways[gateway].sessions[index].gapsAt = time + SimulatedGateway.gapMilliseconds
        gateways[gateway].sessions[index].delivery.readGaps()
    }

    private mutating func sendEvents(_ gateway: Int) {
        guard !gateways[gateway].isBatchUnderWay, let batch = gateways[gateway].events.next() else { return }
        gateways[gateway].isBatchUnderWay = true
        let events = PresenceEvents(
            gatewayID: gateways[gateway].id,
            registration: batch.registration,
            first: batch.first,
            events: batch.events
        )
        send(.events(events), from: gateway)
    }

    // MARK: - Clients' frames

    mutating func take(_ frame: SimulatedClient.ClientFrame, _ connection: Int, at gateway: Int) {
        guard let index = gateways[gateway].index(of: connection) else { return }
        switch frame {
        case .sync(let cursors):
            if !gateways[gateway].sessions[index].delivery.beginSync() { faults.append("Sync was refused") }
            gateways[gateway].readsDue.append(.sync(connection: connection, cursors))
        case .chat(let message):
            let identity = gateways[gateway].sessions[index].identity
            gateways[gateway].sessions[index].delivery.ownBegan()
            gateways[gateway].appends.append(
                SimulatedGateway.AppendRequest(
                    connection: connection,
                    conversation: message.conversation,
                    kind: .chat,
                    sender: identity.userID,
                    senderType: identity.userType,
                    addressee: message.addressee.map { Self.userIDs[$0] },
                    clientID: message.clientID
                )
            )
        }
    }

    // MARK: - The log

    /// The log does some things for the gateway, or the gateway takes some answers.
    mutating func progress(_ gateway: Int) {
        guard gateways[gateway].isUp else { return }
        for _ in 0...random.next(below: 4) {
            switch random.next(below: 4) {
            case 0: commitNext(gateway)
            case 1: settleNext(gateway)
            case 2: readAny(gateway)
            default: takeAnyAnswer(gateway)
            }
        }
    }

    mutating func append(_ request: SimulatedGateway.AppendRequest) -> SimulatedLog.Appended {
        log.append(
            to: request.conversation,
            request.kind,
            by: request.sender,
            request.senderType,
            for: request.addressee,
            clientID: request.clientID
        )
    }

    mutating func commitNext(_ gateway: Int) {
        guard !gateways[gateway].appends.isEmpty else { return }
        let request = gateways[gateway].appends.removeFirst()
        gateways[gateway].appended.append((request, append(request)))
    }

    mutating func settleNext(_ gateway: Int) {
        guard !gateways[gateway].appended.isEmpty else { return }
        let (request, outcome) = gateways[gateway].appended.removeFirst()
        settle(request, outcome, at: gateway)
        work(gateway)
    }

    /// An append's outcome: to the members here, and to where the others are (R1).
    private mutating func settle(
        _ request: SimulatedGateway.AppendRequest,
        _ outcome: SimulatedLog.Appended,
        at gateway: Int
    ) {
        let id = Self.conversationIDs[request.conversation]
        for index in gateways[gateway].sessions.indices {
            let session = gateways[gateway].sessions[index]
            let isOrigin = session.connection == request.connection
            let isMember = outcome.audience.contains(session.identity.userID)
            switch (isOrigin, outcome.isRepeat) {
            case (true, false): deliver(request, outcome.sequence, toOrigin: index, at: gateway)
            case (true, true): repeated(request, outcome.sequence, isMember, toOrigin: index, at: gateway)
            case (false, false): if isMember { deliver(request.conversation, outcome.sequence, to: index, at: gateway) }
            case (false, true):
                guard isMember else { continue }
                gateways[gateway].sessions[index].delivery.note(id, head: outcome.sequence)
            }
        }
        if let origin = request.connection { answered(origin, at: gateway) }
        if outcome.isRepeat, bug == .crashBetweenCommitAndHint { return }
        guard !gateways[gateway].isAlone(now.monotonic) else { return }
        Self.text(request.conversation, outcome.sequence).withUnsafeBytes { text in
            let isAtHand = hasTexts && request.kind == .chat && !outcome.isRepeat
            gateways[gateway].router.committed(
                id,
                outcome.sequence,
                outcome.audience,
                text: isAtHand ? text : nil,
                now: now.monotonic
            )
        }
    }

    /// What stands for an entry's stored text.
    static func text(_ conversation: Int, _ sequence: Int) -> [UInt8] { Array("\(conversation) \(sequence)".utf8) }

    private mutating func answered(_ connection: Int, at gateway: Int) {
        guard let index = gateways[gateway].index(of: connection),
            gateways[gateway].sessions[index].delivery.ownHasEnded(),
            let held = gateways[gateway].sessions[index].heldPage
        else { return }
        gateways[gateway].sessions[index].heldPage = nil
        takePage(held.conversation, held.after, held.last, connection, at: gateway)
    }

    mutating func deliver(_ conversation: Int, _ sequence: Int, to index: Int, at gateway: Int) {
        let id = Self.conversationIDs[conversation]
        let connection = gateways[gateway].sessions[index].connection
        let step = gateways[gateway].sessions[index].delivery.offer(id, sequence)
        guard case .send = step else {
            if bug != .cursorNotChecked || step == .passed { return }
            return send(.entry(conversation: conversation, sequence: sequence), connection)
        }
        send(.entry(conversation: conversation, sequence: sequence), connection)
        if bug != .keptAckPassedOver { sendWaiting(id, index, at: gateway) }
    }

    /// `Ack`s of entries that follow what was sent now.
    private mutating func sendWaiting(_ id: String, _ index: Int, at gateway: Int) {
        while case let kept = gateways[gateway].sessions[index].delivery.takeNextWaiting(id), !kept.isEmpty {
            for own in kept { sendKept(own, gateways[gateway].sessions[index].connection) }
        }
    }

    private mutating func deliver(
        _ request: SimulatedGateway.AppendRequest,
        _ sequence: Int,
        toOrigin index: Int,
        at gateway: Int
    ) {
        let id = Self.conversationIDs[request.conversation]
        let isAlone = gateways[gateway].isAlone(now.monotonic)
        switch gateways[gateway].sessions[index].delivery.offer(id, sequence, mayBeFilled: !isAlone) {
        case .send, .passed:
            acknowledge(request, sequence, index, at: gateway)
            sendWaiting(id, index, at: gateway)
        case .behind: keep(request, sequence, index, at: gateway)
        }
    }

    private mutating func repeated(
        _ request: SimulatedGateway.AppendRequest,
        _ sequence: Int,
        _ isMember: Bool,
        toOrigin index: Int,
        at gateway: Int
    ) {
        let id = Self.conversationIDs[request.conversation]
        if !isMember || bug == .repeatAcknowledgedAtOnce {
            acknowledge(request, sequence, index, at: gateway, hasPlace: isMember)
        } else if gateways[gateway].sessions[index].delivery.offerRepeat(id, sequence) {
            acknowledge(request, sequence, index, at: gateway)
        } else {
            keep(request, sequence, index, at: gateway)
        }
    }

    private mutating func acknowledge(
        _ request: SimulatedGateway.AppendRequest,
        _ sequence: Int,
        _ index: Int,
        at gateway: Int,
        hasPlace: Bool = true
    ) {
        send(
            .acknowledgement(
                conversation: request.conversation,
                sequence: sequence,
                clientID: request.clientID,
                hasPlace: hasPlace
            ),
            gateways[gateway].sessions[index].connection
        )
    }

    private mutating func keep(
        _ request: SimulatedGateway.AppendRequest,
        _ sequence: Int,
        _ index: Int,
        at gateway: Int
    ) {
        let id = Self.conversationIDs[request.conversation]
        let bytes = Array("\(request.conversation) \(sequence) \(request.clientID)".utf8)
        gateways[gateway].sessions[index].delivery.keep(bytes, for: id, sequence)
    }

    private mutating func sendKept(_ bytes: [UInt8], _ connection: Int) {
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard parts.count == 3, let conversation = Int(parts[0]), let sequence = Int(parts[1]) else { return }
        send(
            .acknowledgement(
                conversation: conversation,
                sequence: sequence,
                clientID: String(parts[2]),
                hasPlace: true
            ),
            connection
        )
    }

    // MARK: - Reads

    mutating func readAny(_ gateway: Int) {
        let count = gateways[gateway].readsDue.count
        guard count > 0 else { return }
        gateways[gateway].readsDue.swapAt(random.next(below: count), count - 1)
        let read = gateways[gateway].readsDue.removeLast()
        switch read {
        case .sync(let connection, let cursors):
            guard let index = gateways[gateway].index(of: connection) else { return }
            let userID = gateways[gateway].sessions[index].identity.userID
            let positions = log.positions(of: userID, naming: cursors.map(\.conversationID))
            gateways[gateway].readAnswers.append(.sync(connection: connection, cursors, positions))
        case .next(let connection, .position(let id)):
            guard let index = gateways[gateway].index(of: connection) else { return }
            let position = log.position(of: gateways[gateway].sessions[index].identity.userID, in: id)
            gateways[gateway].readAnswers.append(.position(connection: connection, conversation: id, position))
        case .next(let connection, .entries(let id, let after)):
            let head = log.index(of: id).map { log.conversations[$0].head } ?? 0
            gateways[gateway].readAnswers.append(
                .entries(connection: connection, conversation: id, after: after, last: min(head, after + 200))
            )
        case .shared(let id, let after):
            let head = log.index(of: id).map { log.conversations[$0].head } ?? 0
            gateways[gateway].readAnswers.append(.shared(conversation: id, after: after, last: min(head, after + 200)))
        case .heads(let userID) where isFaulty && chance(8): gateways[gateway].readAnswers.append(.failed(userID))
        case .heads(let userID):
            var named: Set<String> = []
            for session in gateways[gateway].sessions where session.identity.userID == userID {
                named.formUnion(session.delivery.unsettled)
            }
            gateways[gateway].readAnswers.append(.heads(userID, log.positions(of: userID, naming: named.sorted())))
        }
    }

    mutating func takeAnyAnswer(_ gateway: Int) {
        let count = gateways[gateway].readAnswers.count
        guard count > 0 else { return }
        gateways[gateway].readAnswers.swapAt(random.next(below: count), count - 1)
        switch gateways[gateway].readAnswers.removeLast() {
        case .sync(let connection, let cursors, let positions):
            guard let index = gateways[gateway].index(of: connection) else { break }
            let own = "c:\(gateways[gateway].sessions[index].identity.userID)"
            let outputs = gateways[gateway].sessions[index].delivery.sync(cursors, positions) { $0 == own }
            carryOut(outputs, connection)
            if bug == .registerAfterRead { gateways[gateway].events.joined(gateways[gateway].sessions[index].identity) }
        case .position(let connection, let id, let position):
            guard let index = gateways[gateway].index(of: connection) else { break }
            carryOut(gateways[gateway].sessions[index].delivery.takePosition(id, position), connection)
        case .entries(let connection, let id, let after, let last):
            guard let index = gateways[gateway].index(of: connection) else { break }
            if bug != .pageNotHeld, gateways[gateway].sessions[index].delivery.holdPage() {
                gateways[gateway].sessions[index].heldPage = (id, after, last)
            } else {
                takePage(id, after, last, connection, at: gateway)
            }
        case .shared(let id, let after, let last): takeShared(id, after, last, at: gateway)
        case .failed(let userID):
            gateways[gateway].reads.ended(userID, isRead: false, now: now.monotonic)
        case .heads(let userID, let positions):
            gateways[gateway].reads.ended(userID, isRead: true, now: now.monotonic)
            for index in gateways[gateway].sessions.indices
            where gateways[gateway].sessions[index].identity.userID == userID {
                for position in positions {
                    gateways[gateway].sessions[index].delivery.note(position)
                }
            }
        }
        work(gateway)
    }

    /// A read that several connections share begins.
    mutating func readShared(_ id: String, at gateway: Int) {
        let starts = gateways[gateway].hintReads.begin(id).compactMap { reader in
            gateways[gateway].index(of: Int(reader.session)).flatMap {
                gateways[gateway].sessions[$0].delivery.sent(in: id)
            }
        }
        guard let start = starts.min() else { return takeShared(id, 0, 0, at: gateway) }
        gateways[gateway].readsDue.append(.shared(conversation: id, after: start))
    }

    private mutating func takeShared(_ id: String, _ after: Int, _ last: Int, at gateway: Int) {
        let (readers, isNextDue) = gateways[gateway].hintReads.end(id)
        guard let conversation = log.index(of: id) else { return }
        for reader in readers {
            guard let index = gateways[gateway].index(of: Int(reader.session)) else { continue }
            for sequence in stride(from: after + 1, through: min(last, reader.head), by: 1)
            where gateways[gateway].sessions[index].delivery.ownUnderWay == 0 {
                deliver(conversation, sequence, to: index, at: gateway)
            }
            let sent = gateways[gateway].sessions[index].delivery.sent(in: id)
            if sent.map({ $0 < reader.head }) ?? true {
                gateways[gateway].sessions[index].delivery.note(id, head: reader.head)
            }
        }
        if isNextDue { readShared(id, at: gateway) }
    }

    private mutating func takePage(_ id: String, _ after: Int, _ last: Int, _ connection: Int, at gateway: Int) {
        guard let index = gateways[gateway].index(of: connection), let conversation = log.index(of: id) else { return }
        for sequence in stride(from: after + 1, through: last, by: 1) {
            switch gateways[gateway].sessions[index].delivery.takeRead(id, sequence) {
            case .send: send(.entry(conversation: conversation, sequence: sequence), connection)
            case .acknowledge(let kept): for own in kept { sendKept(own, connection) }
            case .skip: break
            }
        }
        let outputs = gateways[gateway].sessions[index].delivery.endPage(id, isEmpty: last <= after)
        if outputs == nil { faults.append("\(id): entries after \(after) are not there") }
        carryOut(outputs ?? [], connection)
    }

    private mutating func carryOut(_ outputs: [DeliveryState.Output], _ connection: Int) {
        for output in outputs {
            switch output {
            case .acknowledgement(let bytes): sendKept(bytes, connection)
            case .gap(let id, _, let to):
                if let conversation = log.index(of: id) { send(.gap(conversation: conversation, to: to), connection) }
            case .refusedCursor(let id, _, let head): faults.append("cursor of \(id) refused, head \(head)")
            case .synced(let heads):
                let known = heads.compactMap { head in
                    log.index(of: head.conversationID).map { (conversation: $0, head: head.head) }
                }
                send(.synced(known), connection)
            }
        }
    }
}
