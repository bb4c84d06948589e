import Contracts
import Core

/// Asks auth what the connected agents' accounts say of their capacity: when they join, and again from time to time.
///
/// Off the way of every decision: routing goes by what it was told last. Until an agent's account was asked for the
/// first time they are given nothing; when auth does not answer, what was known or the default has to do.
actor CapacityKeeper {
    /// The span between two questions about the same agent.
    static let interval: Milliseconds = 30_000
    /// The same after one that was not answered.
    static let retryInterval: Milliseconds = 2000

    private let routing: Routing
    private let clock: @Sendable () -> Moment
    /// The accounts among the ids, at most `UserLookupRequest.userIDsMax` of them.
    private let lookUp: @Sendable (_ userIDs: [String]) async throws -> [UserSummary]
    /// When each connected agent is to be asked about next.
    private var dueAt: [String: Milliseconds] = [:]

    init(
        routing: Routing,
        clock: @escaping @Sendable () -> Moment,
        lookUp: @escaping @Sendable (_ userIDs: [String]) async throws -> [UserSummary]
    ) {
        self.routing = routing
        self.clock = clock
        self.lookUp = lookUp
    }

    /// Works until cancelled; looks whenever an agent may have come, and with every sweep.
    func run() async {
        for await _ in routing.agentNews { await ask() }
    }

    /// Asks about everyone who is due.
    func ask() async {
        let now = clock().monotonic
        let connected = await routing.connectedAgents
        let known = dueAt
        dueAt = Dictionary(connected.map { ($0, known[$0] ?? now) }) { first, _ in first }
        let due = connected.filter { (dueAt[$0] ?? now) <= now }
        for start in stride(from: 0, to: due.count, by: UserLookupRequest.userIDsMax) {
            await ask(Array(due[start..<min(start + UserLookupRequest.userIDsMax, due.count)]), now: now)
        }
    }

    private func ask(_ agentIDs: [String], now: Milliseconds) async {
        let accounts: [String: UserSummary]
        do {
            accounts = Dictionary(try await lookUp(agentIDs).map { ($0.userID, $0) }) { first, _ in first }
        } catch {
            for agentID in agentIDs { dueAt[agentID] = now + Self.retryInterval }
            for agentID in agentIDs { routing.inbox.learn(.unanswered, of: agentID) }
            return
        }
        for agentID in agentIDs { dueAt[agentID] = now + Self.interval }
        for agentID in agentIDs { routing.inbox.learn(.told(accounts[agentID]?.capacity), of: agentID) }
    }
}
