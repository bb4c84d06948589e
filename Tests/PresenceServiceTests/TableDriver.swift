import Contracts
import Core
import Synchronization
import Testing

@testable import PresenceService

/// A routing table with its clock, driven as gateways and presence would; effects go into a store of its own.
struct TableDriver {
    var table: RoutingTable
    var now = Moment.start
    /// The rows as they were last stored.
    var stored: [String: RoutedConversation] = [:]
    var decisions: [RoutingDecision] = []
    var seq = 0
    private let ids = IDSource()

    private final class IDSource: Sendable {
        private let last = Atomic(0)
        func next() -> String { "r-\(last.add(1, ordering: .relaxed).newValue)" }
    }

    init(_ limits: RoutingTable.Limits = .init()) {
        let ids = ids
        table = RoutingTable(limits: limits, now: now) { ids.next() }
    }

    // MARK: - Agents

    /// Agents come, their accounts asked for.
    mutating func join(_ agentIDs: String..., status: ChosenStatus = .online, capacity: Int? = nil) {
        for agentID in agentIDs {
            tell(agentID, isConnected: true, status: status)
            table.agents.setCapacity(capacity, of: agentID)
        }
        table.drain(now: now)
        store()
    }

    /// An agent comes whose account was not asked for yet.
    mutating func comeBack(_ agentID: String) { tell(agentID, isConnected: true) }

    /// An agent drops, last heard `silent` ago.
    mutating func drop(_ agentID: String, silent: Milliseconds = 0) {
        tell(agentID, isConnected: false, heardAt: now.monotonic - silent)
        store()
    }

    mutating func setStatus(_ status: ChosenStatus, of agentID: String) {
        tell(agentID, isConnected: true, status: status)
        table.drain(now: now)
        store()
    }

    private mutating func tell(
        _ agentID: String,
        isConnected: Bool,
        status: ChosenStatus = .online,
        heardAt: Milliseconds? = nil
    ) {
        let news = AgentNews(
            agentID: agentID,
            isConnected: isConnected,
            status: status,
            heardAt: heardAt ?? now.monotonic
        )
        table.agents.follow(news, now: now.monotonic)
    }

    // MARK: - Commands

    /// A message in the customer's conversation that has no agent.
    @discardableResult
    mutating func write(
        _ customerID: String,
        by agentID: String? = nil,
        naming named: String? = nil,
        seq: Int? = nil
    ) throws -> RoutingAnswer {
        self.seq += 1
        let request = AssignmentRequest(
            conversationID: "c:\(customerID)",
            customerID: customerID,
            seq: seq ?? self.seq,
            agentID: named,
            requestedBy: agentID ?? customerID,
            requesterType: agentID == nil ? .customer : .agent
        )
        return try #require(try perform(.need(request)))
    }

    /// The entry of the conversation's pending decision is reported.
    mutating func log(_ customerID: String) throws {
        let decision = try #require(table.conversation("c:\(customerID)")?.pending)
        seq += 1
        let report = DecisionLogged(conversationID: decision.conversationID, seq: seq)
        #expect(try perform(.logged(decisionID: decision.decisionID, report)) == nil)
    }

    /// A message, and the entry of what it led to.
    mutating func open(_ customerID: String, naming named: String? = nil) throws {
        try write(customerID, naming: named)
        try log(customerID)
    }

    func request(
        _ customerID: String,
        by requester: String,
        to agentID: String? = nil,
        isAdmin: Bool = false,
        seq: Int? = nil,
        note: String? = nil
    ) -> RoutingRequest {
        RoutingRequest(
            conversationID: "c:\(customerID)",
            agentID: agentID,
            queue: agentID == nil ? true : nil,
            requestedBy: requester,
            isAdmin: isAdmin,
            seq: seq ?? self.seq,
            note: note
        )
    }

    @discardableResult
    mutating func perform(_ command: RoutingCommand) throws(PresenceError) -> RoutingAnswer? {
        // As the service does: a row that is not in memory is brought in first.
        if let needed = command.neededConversationID, let row = stored[needed] { table.admit(row, now: now) }
        let outcome = Result { () throws(PresenceError) in try table.perform(command, now: now) }
        store()
        return try outcome.get()
    }

    @discardableResult
    mutating func close(_ customerID: String, by requester: String, isAdmin: Bool = false) throws -> RoutingAnswer? {
        try perform(.close(request(customerID, by: requester, isAdmin: isAdmin)))
    }

    mutating func answer(_ customerID: String, by agentID: String) throws {
        seq += 1
        try perform(.answered(FirstResponse(conversationID: "c:\(customerID)", agentID: agentID, seq: seq)))
    }

    // MARK: - Time

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
    mutating func restart(_ limits: RoutingTable.Limits? = nil) {
        let ids = ids
        table = RoutingTable(limits: limits ?? table.limits, live: stored.values.filter(\.isLive), now: now) {
            ids.next()
        }
    }

    private mutating func store() {
        let effects = table.takeEffects()
        for row in effects.conversations { stored[row.conversationID] = row }
        decisions += effects.decisions
    }

    // MARK: - Reading

    /// `open:a1`, `queued:2` or `closed`.
    func state(_ customerID: String) -> String {
        guard let row = table.conversation("c:\(customerID)") ?? stored["c:\(customerID)"] else { return "unknown" }
        let answer = table.answer(row)
        switch answer.state {
        case .open: return "open:\(answer.agentID ?? "-")"
        case .queued: return "queued:\(answer.position ?? 0)"
        case .closed: return "closed"
        }
    }

    /// The kinds and reasons of the conversation's decisions, oldest first: `assigned:least_loaded`.
    func history(_ customerID: String) -> [String] {
        decisions.filter { $0.conversationID == "c:\(customerID)" }.map { "\($0.kind):\($0.reason)" }
    }

    /// The customers who wait, first in line first.
    var waiting: [String] { table.queue.waiting.map(\.customerID) }

    func load(_ agentID: String) -> Int { table.agents[agentID]?.load ?? 0 }
}
