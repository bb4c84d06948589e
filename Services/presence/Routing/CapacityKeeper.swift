import Contracts
import Core
import ServiceKit
import Synchronization

/// Asks auth what the connected agents' accounts say of their capacity: when they join, when their account has changed,
/// and again from time to time.
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
    private nonisolated let changes = Mutex(UserChanges())
    /// When each connected agent is to be asked about next, unless their account changes.
    private var due: [String: Due] = [:]

    private struct Due {
        var at: Milliseconds
        /// The agent's stay that it holds for: of an agent who left and came back while the question was under way the
        /// answer may have been taken for neither stay.
        var stay: Int
        /// The changes of accounts known when it was asked about last.
        var mark: Int
    }

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

    /// A user's account has changed: an agent's capacity may have.
    nonisolated func userChanged(_ userID: String) {
        changes.withLock { $0.note(userID) }
        routing.noteAccounts()
    }

    /// Changes may have been missed: everyone is asked about again.
    nonisolated func reset() {
        changes.withLock { $0.noteAll() }
        routing.noteAccounts()
    }

    /// Asks about everyone who is due.
    func ask() async {
        let now = clock().monotonic
        let connected = await routing.connectedAgents
        let known = due
        due = [:]
        for (agentID, stay) in connected where known[agentID]?.stay == stay { due[agentID] = known[agentID] }
        let asked = changes.withLock { changes in
            connected.filter { agentID, _ in
                guard let due = due[agentID] else { return true }
                return due.at <= now || !changes.isUnchanged(agentID, since: due.mark)
            }
        }
        for start in stride(from: 0, to: asked.count, by: UserLookupRequest.userIDsMax) {
            await ask(Array(asked[start..<min(start + UserLookupRequest.userIDsMax, asked.count)]), now: now)
        }
    }

    private func ask(_ agents: [(agentID: String, stay: Int)], now: Milliseconds) async {
        let agentIDs = agents.map(\.agentID)
        let accounts: [String: UserSummary]
        // Before asking: the answer may be older than a change that is heard of meanwhile.
        let mark = changes.withLock { $0.mark }
        do {
            accounts = Dictionary(try await lookUp(agentIDs).map { ($0.userID, $0) }) { first, _ in first }
        } catch {
            for (agentID, stay) in agents { due[agentID] = Due(at: now + Self.retryInterval, stay: stay, mark: mark) }
            for agentID in agentIDs { routing.inbox.learn(.unanswered, of: agentID) }
            return
        }
        for (agentID, stay) in agents { due[agentID] = Due(at: now + Self.interval, stay: stay, mark: mark) }
        for agentID in agentIDs { routing.inbox.learn(.told(accounts[agentID]?.capacity), of: agentID) }
    }
}
