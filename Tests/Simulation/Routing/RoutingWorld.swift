import Contracts
import Core

/// Presence's routing, the gateways' log, agents who come and go, failing stores, and a network that loses, repeats and
/// delays.
///
/// After every step: nobody is given more than their capacity by themselves, nobody is passed over or waits beside a
/// free agent (invariants 6 and 8). At the end log and presence agree, and nobody is stranded (R9, R10).
struct RoutingWorld: World {
    enum Message {
        case need(log: Int, RoutedLog.Route)
        case logged(DecisionLogged, decisionID: String)
        case answered(FirstResponse)
    }

    struct Agent {
        let id: String
        var isConnected = false
        var status = ChosenStatus.online
        var capacity = 2
    }

    private var random: SeededGenerator
    private let bug: PlantedBug?
    private var presence = SimulatedRouting()
    private var logs = (1...5).map { RoutedLog(customerID: "u\($0)") }
    private var agents = (1...3).map { Agent(id: "a\($0)") }
    private var wire: [Message] = []
    private(set) var steps = 0
    private(set) var faults: [String] = []

    init(seed: UInt64, bug: PlantedBug?) {
        random = SeededGenerator(seed: seed)
        self.bug = bug
    }

    private mutating func chance(_ percent: Int) -> Bool { random.next(below: 100) < percent }

    // MARK: - Steps

    mutating func step() {
        steps += 1
        let before = presence.stored
        act()
        check(since: before)
    }

    private mutating func act() {
        let log = random.next(below: logs.count)
        let agent = random.next(below: agents.count)
        if chance(3) { presence.nextFailure = SimulatedRouting.StoreFailure.allCases.randomElement(using: &random) }
        switch random.next(below: 100) {
        case 0..<14:
            let named = chance(20) ? agents[agent].id : nil
            _ = logs[log].write(by: logs[log].customerID, .customer, naming: named)
        case 14..<22: if let report = logs[log].write(by: agents[agent].id, .agent) { wire.append(.answered(report)) }
        case 22..<38: if let route = logs[log].route { wire.append(.need(log: log, route)) }
        case 38..<58: deliverAny()
        case 58..<68: if let decision = anyPending() { append(decision) }
        case 68..<80: ask(log, by: agents[agent].id)
        case 80..<86: meetAgent(agent)
        case 86..<98: presence.pass(Milliseconds(random.next(below: 4000)))
        default: restart()
        }
    }

    private mutating func deliverAny() {
        guard let index = wire.indices.randomElement(using: &random) else { return }
        let message = wire[index]
        // A copy may come again later.
        if !chance(30) { wire.remove(at: index) }
        if !chance(15) { deliver(message, isAnswerLost: chance(15)) }
    }

    private mutating func deliver(_ message: Message, isAnswerLost: Bool) {
        switch message {
        case .need(let log, let route):
            let request = AssignmentRequest(
                conversationID: route.need.conversationID,
                customerID: logs[log].customerID,
                seq: route.need.sequence,
                agentID: route.need.agentID,
                requestedBy: route.need.requestedBy,
                requesterType: route.need.requesterType
            )
            guard let answer = try? presence.perform(.need(request)), !isAnswerLost else { return }
            logs[log].settle(route.number)
            if let decision = answer.decision { append(decision) }
        case .logged(let report, let decisionID):
            _ = try? presence.perform(.logged(decisionID: decisionID, report))
        case .answered(let response): _ = try? presence.perform(.answered(response))
        }
    }

    /// A gateway appends a decision that it was answered or offered, and will report it.
    private mutating func append(_ decision: RoutingDecision) {
        guard let index = logs.firstIndex(where: { $0.conversationID == decision.conversationID }),
            let sequence = logs[index].append(decision)
        else { return }
        let report = DecisionLogged(conversationID: decision.conversationID, seq: sequence)
        wire.append(.logged(report, decisionID: decision.decisionID))
    }

    /// A decision that presence offers to any gateway.
    private mutating func anyPending() -> RoutingDecision? {
        guard bug != .crashBetweenDecisionAndEntry else { return nil }
        return pending.randomElement(using: &random)
    }

    private var pending: [RoutingDecision] {
        presence.table.pendingDecisions.sorted { $0.decisionID < $1.decisionID }
    }

    private mutating func ask(_ log: Int, by agentID: String) {
        let other = agents[random.next(below: agents.count)].id
        let isAdmin = chance(30)
        let holder = logs[log].state.agent ?? agentID
        let command: RoutingCommand =
            switch random.next(below: 5) {
            case 0: .assign(request(log, by: agentID, to: agentID, isAdmin))
            case 1: .assign(request(log, by: holder, to: other, isAdmin))
            case 2: .transfer(request(log, by: holder, to: other, isAdmin))
            case 3: .transfer(request(log, by: holder, to: nil, isAdmin))
            default: .close(request(log, by: holder, to: nil, isAdmin))
            }
        guard let answer = try? presence.perform(command), chance(80), let decision = answer.decision else { return }
        append(decision)
    }

    private func request(_ log: Int, by requester: String, to agentID: String?, _ isAdmin: Bool) -> RoutingRequest {
        RoutingRequest(
            conversationID: logs[log].conversationID,
            agentID: agentID,
            queue: agentID == nil ? true : nil,
            requestedBy: requester,
            isAdmin: isAdmin,
            seq: logs[log].head,
            note: nil
        )
    }

    private mutating func meetAgent(_ index: Int) {
        switch random.next(below: 4) {
        case 0: agents[index].capacity = random.next(below: 4)
        case 1: agents[index].status = chance(60) ? .online : .busy
        default: agents[index].isConnected.toggle()
        }
        tell(index)
    }

    private mutating func tell(_ index: Int) {
        let agent = agents[index]
        presence.tell(
            agent.id,
            isConnected: agent.isConnected,
            agent.status,
            capacity: agent.capacity,
            silent: agent.isConnected ? 0 : Int64(random.next(below: 5000))
        )
    }

    private mutating func restart() {
        let before = presence
        presence.restart()
        checkReloaded(since: before)
        for index in agents.indices where agents[index].isConnected { tell(index) }
    }

    // MARK: - What must hold after every step

    private mutating func check(since before: [String: RoutedConversation]) {
        let made = presence.takeDecisions()
        let rows = presence.stored.values
        for agent in agents {
            var slots = 0
            for row in rows { slots += (row.agentID == agent.id ? 1 : 0) + (row.formerAgentID == agent.id ? 1 : 0) }
            if slots != presence.load(agent.id) {
                faults.append("\(agent.id): \(slots) slots, counted as \(presence.load(agent.id))")
            }
            let isAutomatic = made.contains { $0.agentID == agent.id && $0.requestedBy != agent.id }
            if isAutomatic, slots > agent.capacity {
                faults.append("\(agent.id): given a conversation, and has \(slots) of \(agent.capacity)")
            }
        }
        checkOrder(made, before)
    }

    /// Nobody is passed over, and nobody waits while an agent has room.
    private mutating func checkOrder(_ made: [RoutingDecision], _ before: [String: RoutedConversation]) {
        let served = made.filter { $0.kind == .assigned && $0.requestedBy == nil }
        let formerPlaces = served.compactMap { before[$0.conversationID]?.readyPlace }
        let isAnyAvailable = presence.table.agents.areAnyAvailable
        for row in presence.stored.values {
            guard row.readyPlace != nil, row.avoidedAgentID == nil else { continue }
            if let place = before[row.conversationID]?.readyPlace, formerPlaces.contains(where: { place < $0 }) {
                faults.append("\(row.conversationID) was passed over")
            }
            if isAnyAvailable { faults.append("\(row.conversationID) waits for no reason") }
        }
    }

    /// A table that is loaded from the store is the one that wrote it.
    private mutating func checkReloaded(since before: SimulatedRouting) {
        let (old, new) = (before.table, presence.table)
        let ids = { (table: RoutingTable) in Set(table.pendingDecisions.map(\.decisionID)) }
        let waiting = { (table: RoutingTable) in table.queue.waiting.map(\.conversationID) }
        if waiting(new) != waiting(old) { faults.append("\(waiting(old)) wait, after a start \(waiting(new))") }
        if new.openCount != old.openCount { faults.append("\(old.openCount) open, after a start \(new.openCount)") }
        if ids(new) != ids(old) { faults.append("other decisions are pending after a start") }
        for agent in agents where presence.load(agent.id) != before.load(agent.id) {
            faults.append("\(agent.id) has \(before.load(agent.id)), and after a start \(presence.load(agent.id))")
        }
    }

    // MARK: - Rest

    mutating func rest() {
        presence.nextFailure = nil
        for message in wire.shuffled(using: &random) { deliver(message, isAnswerLost: false) }
        wire = []
        for index in agents.indices {
            agents[index] = Agent(id: agents[index].id, isConnected: true, capacity: 10)
            tell(index)
        }
        for _ in 0..<40 { settle() }
        _ = presence.takeDecisions()
        checkEnd()
    }

    private mutating func settle() {
        steps += 1
        for index in logs.indices {
            if let route = logs[index].route { deliver(.need(log: index, route), isAnswerLost: false) }
        }
        if bug != .crashBetweenDecisionAndEntry { for decision in pending { append(decision) } }
        for index in logs.indices {
            // Everyone answers their customers, or they would be taken from them again.
            guard let agentID = logs[index].state.agent else { continue }
            if let report = logs[index].write(by: agentID, .agent) { wire.append(.answered(report)) }
        }
        for message in wire { deliver(message, isAnswerLost: false) }
        wire = []
        presence.pass(1000)
    }

    private mutating func checkEnd() {
        faults += presence.faults
        for log in logs {
            faults += log.faults
            let row = presence.stored[log.conversationID]
            if log.isStranded { faults.append("\(log.customerID) is stranded") }
            if row?.agentID != log.state.agent { faults.append("\(log.customerID): log and presence differ") }
            if row?.pending != nil || row?.need != nil { faults.append("\(log.customerID): something is pending") }
            if row?.state == .queued { faults.append("\(log.customerID) still waits") }
        }
    }
}
