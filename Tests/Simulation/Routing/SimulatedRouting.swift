import Contracts
import Core

/// Presence's routing table with a store that may fail, and a process that may end.
struct SimulatedRouting {
    enum StoreFailure: CaseIterable {
        case nothingStored
        /// Stored, and then the answer was lost.
        case storedUnseen
    }

    private(set) var table: RoutingTable
    private(set) var now = Moment(monotonic: 1_000_000, wall: Timestamp(milliseconds: 1_700_000_000_000))
    /// The rows as they were last stored.
    private(set) var stored: [String: RoutedConversation] = [:]
    /// What was stored since `takeDecisions`.
    private var decisions: [RoutingDecision] = []
    /// By conversation, the number of its last decision.
    private(set) var lastNumbers: [String: Int] = [:]
    private(set) var faults: [String] = []
    var nextFailure: StoreFailure?
    private let ids = IDSource()

    /// Confined to the world that it belongs to, which no two threads share.
    private final class IDSource: @unchecked Sendable {
        private var last = 0
        func next() -> String {
            last += 1
            return "r-\(last)"
        }
    }

    private static let limits = RoutingTable.Limits(
        agentGrace: 20_000,
        startGrace: 2000,
        firstResponse: 30_000,
        avoidance: 10_000
    )

    init() {
        let ids = ids
        table = RoutingTable(limits: Self.limits, now: now) { ids.next() }
    }

    mutating func takeDecisions() -> [RoutingDecision] {
        defer { decisions = [] }
        return decisions
    }

    func load(_ agentID: String) -> Int { table.agents[agentID]?.load ?? 0 }

    /// An agent comes, goes, or says something of themself.
    mutating func tell(_ agentID: String, isConnected: Bool, _ status: ChosenStatus, capacity: Int, silent: Int64 = 0) {
        let news = AgentNews(
            agentID: agentID,
            isConnected: isConnected,
            status: status,
            heardAt: now.monotonic - silent
        )
        table.agents.follow(news, now: now.monotonic)
        if isConnected {
            table.agents.setCapacity(capacity, of: agentID)
            table.drain(now: now)
        }
        store()
    }

    mutating func perform(_ command: RoutingCommand) throws(PresenceError) -> RoutingAnswer? {
        // As the service does: a row that is not in memory is brought in first.
        if let needed = command.neededConversationID, let row = stored[needed] { table.admit(row, now: now) }
        let outcome = Result { () throws(PresenceError) in try table.perform(command, now: now) }
        guard store() else { throw .routingUnavailable }
        return try outcome.get()
    }

    /// Lets time pass in sweeps, as the service does.
    mutating func pass(_ span: Milliseconds) {
        let end = now.monotonic + span
        while now.monotonic < end {
            now = now.advanced(by: min(1000, end - now.monotonic))
            table.advance(now: now)
            store()
        }
    }

    /// The process ends and starts again; nobody is there.
    mutating func restart() {
        let ids = ids
        table = RoutingTable(limits: Self.limits, live: stored.values.filter(\.isLive), now: now) { ids.next() }
    }

    @discardableResult
    private mutating func store() -> Bool {
        let effects = table.takeEffects()
        let failure = effects.isEmpty ? nil : nextFailure
        if failure != .nothingStored {
            for row in effects.conversations { stored[row.conversationID] = row }
            for decision in effects.decisions { note(decision) }
        }
        guard failure != nil else { return true }
        nextFailure = nil
        table.reload(stored.values.filter(\.isLive), now: now)
        // The next group is a moment later.
        table.drain(now: now)
        store()
        return false
    }

    private mutating func note(_ decision: RoutingDecision) {
        let last = lastNumbers[decision.conversationID] ?? 0
        if decision.number != last + 1 {
            faults.append("\(decision.conversationID): decision \(decision.number) after \(last)")
        }
        lastNumbers[decision.conversationID] = decision.number
        decisions.append(decision)
    }
}
