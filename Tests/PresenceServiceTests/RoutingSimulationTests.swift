import Contracts
import Core
import TestSupport
import Testing

@testable import PresenceService

/// Presence, gateways with their log, agents who come and go, and a network that loses, repeats and delays.
private struct RoutingSimulation {
    enum Message {
        case need(customer: Int, LogModel.Route)
        case logged(DecisionLogged, decisionID: String)
        case answered(FirstResponse)
    }

    struct Agent {
        let id: String
        var isConnected = false
        var status = ChosenStatus.online
        var capacity = 2
    }

    var random: SeededGenerator
    var presence = TableDriver(.init(agentGrace: 20_000, startGrace: 2000, firstResponse: 30_000, avoidance: 10_000))
    var logs = (1...6).map { LogModel(customerID: "u\($0)") }
    var agents = (1...4).map { Agent(id: "a\($0)") }
    var wire: [Message] = []
    var faults: [String] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func chance(_ percent: Int) -> Bool { random.next(below: 100) < percent }

    // MARK: - Steps

    mutating func step() {
        let before = presence
        act()
        check(since: before)
    }

    private mutating func act() {
        let customer = random.next(below: logs.count)
        let agent = random.next(below: agents.count)
        if chance(3) { presence.nextFailure = Presence.Failure.allCases.randomElement(using: &random) }
        switch random.next(below: 100) {
        case 0..<14: logs[customer].writeAsCustomer(naming: chance(20) ? agents[agent].id : nil)
        case 14..<22:
            if let report = logs[customer].write(by: agents[agent].id) { wire.append(.answered(report)) }
        case 22..<38: if let route = logs[customer].route { wire.append(.need(customer: customer, route)) }
        case 38..<58: deliverAny()
        case 58..<68: if let decision = anyPending() { append(decision) }
        case 68..<80: ask(customer, by: agents[agent].id)
        case 80..<86: meetAgent(agent)
        case 86..<98: presence.pass(Milliseconds(random.next(below: 4000)))
        default: restart()
        }
    }

    typealias Presence = TableDriver

    private mutating func deliverAny() {
        guard let index = wire.indices.randomElement(using: &random) else { return }
        let message = wire[index]
        // A copy may come again later.
        if !chance(30) { wire.remove(at: index) }
        if !chance(15) { deliver(message, isAnswerLost: chance(15)) }
    }

    private mutating func deliver(_ message: Message, isAnswerLost: Bool) {
        switch message {
        case .need(let customer, let route):
            guard let answer = try? presence.perform(.need(route.request)), !isAnswerLost else { return }
            logs[customer].settle(route.number)
            if let decision = answer.decision { append(decision) }
        case .logged(let report, let decisionID):
            _ = try? presence.perform(.logged(decisionID: decisionID, report))
        case .answered(let response): _ = try? presence.perform(.answered(response))
        }
    }

    /// A gateway appends a decision that it was answered or offered, and will report it.
    private mutating func append(_ decision: RoutingDecision) {
        guard let index = logs.firstIndex(where: { $0.conversationID == decision.conversationID }) else { return }
        let seq = logs[index].append(decision)
        wire.append(
            .logged(DecisionLogged(conversationID: decision.conversationID, seq: seq), decisionID: decision.decisionID)
        )
    }

    private mutating func anyPending() -> RoutingDecision? {
        presence.table.pendingDecisions.sorted { $0.decisionID < $1.decisionID }.randomElement(using: &random)
    }

    private mutating func ask(_ customer: Int, by agentID: String) {
        let other = agents[random.next(below: agents.count)].id
        let user = logs[customer].customerID
        let head = logs[customer].head
        let isAdmin = chance(30)
        let holder = logs[customer].agentID ?? agentID
        let command: RoutingCommand =
            switch random.next(below: 5) {
            case 0: .assign(presence.request(user, by: agentID, to: agentID, isAdmin: isAdmin, seq: head))
            case 1: .assign(presence.request(user, by: holder, to: other, isAdmin: isAdmin, seq: head))
            case 2: .transfer(presence.request(user, by: holder, to: other, isAdmin: isAdmin, seq: head))
            case 3: .transfer(presence.request(user, by: holder, isAdmin: isAdmin, seq: head))
            default: .close(presence.request(user, by: holder, isAdmin: isAdmin, seq: head))
            }
        guard let answer = try? presence.perform(command), chance(80), let decision = answer.decision else { return }
        append(decision)
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
        if agent.isConnected {
            presence.join(agent.id, status: agent.status, capacity: agent.capacity)
        } else {
            presence.drop(agent.id, silent: Milliseconds(random.next(below: 5000)))
        }
    }

    private mutating func restart() {
        presence.restart()
        for index in agents.indices where agents[index].isConnected { tell(index) }
    }

    // MARK: - What must hold after every step

    private mutating func check(since before: TableDriver) {
        let rows = presence.stored.values
        for agent in agents {
            let slots = rows.count { $0.agentID == agent.id } + rows.count { $0.formerAgentID == agent.id }
            if slots != presence.load(agent.id) {
                faults.append("\(agent.id): \(slots) slots, counted as \(presence.load(agent.id))")
            }
            let isAutomatic = presence.decisions[before.decisions.count...].contains { decision in
                decision.agentID == agent.id && decision.requestedBy != agent.id
            }
            if isAutomatic, slots > agent.capacity {
                faults.append("\(agent.id): given a conversation, and has \(slots) of \(agent.capacity)")
            }
        }
        checkOrder(since: before)
        for log in logs { faults += log.faults }
    }

    /// Nobody is passed over, and nobody waits while an agent has room.
    private mutating func checkOrder(since before: TableDriver) {
        let served = presence.decisions[before.decisions.count...].filter {
            $0.kind == .assigned && $0.requestedBy == nil
        }
        let formerPlaces = served.compactMap { before.stored[$0.conversationID]?.readyPlace }
        for row in presence.stored.values {
            guard row.readyPlace != nil, row.avoidedAgentID == nil else { continue }
            if let place = before.stored[row.conversationID]?.readyPlace, formerPlaces.contains(where: { place < $0 }) {
                faults.append("\(row.conversationID) was passed over")
            }
            if presence.table.agents.areAnyAvailable { faults.append("\(row.conversationID) waits for no reason") }
        }
    }

    /// The network works again, everyone is there with room, and every span passes.
    mutating func quiesce() {
        presence.nextFailure = nil
        for message in wire.shuffled(using: &random) { deliver(message, isAnswerLost: false) }
        wire = []
        for index in agents.indices {
            agents[index] = Agent(id: agents[index].id, isConnected: true, capacity: 10)
            tell(index)
        }
        for _ in 0..<40 {
            for index in logs.indices {
                guard let route = logs[index].route else { continue }
                deliver(.need(customer: index, route), isAnswerLost: false)
            }
            for decision in presence.table.pendingDecisions { append(decision) }
            for index in logs.indices {
                // Everyone answers their customers, or they would be taken from them again.
                guard let agentID = logs[index].agentID, let report = logs[index].write(by: agentID) else { continue }
                wire.append(.answered(report))
            }
            for message in wire { deliver(message, isAnswerLost: false) }
            wire = []
            presence.pass(1000)
        }
    }

    func endFaults() -> [String] {
        var faults = faults
        for log in logs {
            let row = presence.stored[log.conversationID]
            if log.isStranded { faults.append("\(log.customerID) is stranded") }
            if row?.agentID != log.agentID { faults.append("\(log.customerID): log and presence differ") }
            if row?.pending != nil || row?.need != nil { faults.append("\(log.customerID): something is pending") }
            if row?.state == .queued { faults.append("\(log.customerID) still waits") }
            let numbers = presence.decisions.filter { $0.conversationID == log.conversationID }.map(\.number)
            if numbers != Array(1..<numbers.count + 1) { faults.append("\(log.customerID): decisions \(numbers)") }
        }
        return faults
    }
}

@Suite("Routing under a bad network, with failing stores and restarts")
struct RoutingSimulationTests {
    @Test("no agent is overfilled, nobody is passed over or stranded, and log and presence end the same")
    func convergence() {
        let base = UInt64.random(in: 0..<1 << 32)
        for seed in base..<base + 150 {
            var simulation = RoutingSimulation(seed: seed)
            for _ in 0..<300 { simulation.step() }
            simulation.quiesce()
            let faults = simulation.endFaults()
            #expect(faults.isEmpty, "seed \(seed): \(faults.prefix(3))")
            if !faults.isEmpty { break }
        }
    }

    @Test("a table loaded from the store is the one that wrote it")
    func reloading() {
        let base = UInt64.random(in: 0..<1 << 32)
        for seed in base..<base + 50 {
            var simulation = RoutingSimulation(seed: seed)
            for _ in 0..<200 { simulation.step() }
            let before = simulation.presence
            simulation.presence.restart()
            let after = simulation.presence
            #expect(after.waiting == before.waiting, "seed \(seed)")
            #expect(after.table.openCount == before.table.openCount, "seed \(seed)")
            let ids = { (driver: TableDriver) in Set(driver.table.pendingDecisions.map(\.decisionID)) }
            #expect(ids(after) == ids(before), "seed \(seed)")
            for agent in simulation.agents { #expect(after.load(agent.id) == before.load(agent.id), "seed \(seed)") }
        }
    }
}
