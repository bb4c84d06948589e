import Contracts
import Core

/// The end of a world: the network heals, everybody is there, and nothing may be missing.
extension DeliveryWorld {
    /// How long coming to rest may take: a registration's silence, two leases and retries; with sweeps one of these
    /// more.
    private var restMilliseconds: Int64 { hasSweeps ? 40_000 : 8_000 }

    mutating func rest() {
        isFaulty = false
        for gateway in gateways.indices {
            isCutOff[gateway] = false
            isParted[gateway] = false
            gateways[gateway].isUp = true
        }
        for index in connections.indices.reversed() where connections[index].isHalfOpen { notice(index) }
        for client in clients.indices {
            if clients[client].connection == nil { connect(client) } else { retryAll(client) }
        }
        let end = now.monotonic + restMilliseconds
        while now.monotonic < end {
            settleAll()
            pass(250)
        }
        settleAll()
        check()
        if faults.isEmpty { speak() }
    }

    /// Once nothing is wrong any more, entries arrive at once, by hints alone.
    private mutating func speak() {
        for conversation in Self.conversationIDs.indices {
            let agents = clients.indices.filter { clients[$0].user >= 2 }
            if let agent = agents.randomElement(using: &random) { write(agent, to: conversation) }
        }
        settleAll()
        // A gap that no hint fills is read within two looks.
        for _ in 0..<2 {
            pass(250)
            settleAll()
        }
        check()
    }

    private mutating func retryAll(_ client: Int) {
        for _ in clients[client].outbox where clients[client].connection != nil { retry(client) }
    }

    /// Everything that is on its way arrives.
    mutating func settleAll() {
        var isBusy = true
        while isBusy, steps < 200_000 {
            isBusy = false
            for message in takeWire() {
                isBusy = true
                steps += 1
                deliver(message)
            }
            for gateway in gateways.indices where gateways[gateway].hasWork {
                isBusy = true
                steps += 1
                commitNext(gateway)
                settleNext(gateway)
                readAny(gateway)
                takeAnyAnswer(gateway)
            }
            for index in connections.indices
            where !connections[index].toClient.isEmpty || !connections[index].toGateway.isEmpty {
                isBusy = true
                steps += 1
                exchange(index)
            }
        }
        if steps >= 200_000 { faults.append("it does not come to rest") }
    }

    private mutating func takeWire() -> [Message] {
        defer { wire.removeAll(keepingCapacity: true) }
        return wire
    }

    private mutating func check() {
        faults += presence.faults
        for client in clients {
            let userID = Self.userIDs[client.user]
            for (index, conversation) in log.conversations.enumerated() {
                guard let reach = conversation.reach(of: userID), reach > 0 else { continue }
                let isMember = conversation.state.members.contains(userID)
                let cursor = client.cursors[index] ?? client.acknowledged[index]
                if let cursor, cursor >= reach { continue }
                if cursor == nil, !isMember { continue }
                let has = cursor.map { "\($0)" } ?? "nothing"
                faults.append("\(userID) is to have \(reach) of \(conversation.id), and has \(has)")
            }
            for message in client.outbox where message.acknowledged == nil {
                faults.append("\(userID)'s \(message.clientID) was never acknowledged")
            }
        }
        for gateway in gateways where !gateway.router.isIdle { faults.append("\(gateway.id) has hints left") }
        checkPresence()
    }

    /// Presence ends with what the gateways have.
    private mutating func checkPresence() {
        for userID in Self.userIDs {
            let actual = gateways.filter { $0.userIDs.contains(userID) }.map(\.id)
            let known = presence.state.gateways(of: userID)
            if actual != known { faults.append("\(userID) is at \(actual), presence says \(known)") }
        }
    }
}

extension SimulatedGateway {
    /// Whether the log, or an answer of it, has anything to do.
    var hasWork: Bool { !appends.isEmpty || !appended.isEmpty || !readsDue.isEmpty || !readAnswers.isEmpty }
}
