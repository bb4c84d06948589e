import Contracts
import Synchronization

/// What waits for routing: commands with those who wait for their answers, and the newest word on each agent.
///
/// Filled from any thread, emptied by the one loop that works on it, which it wakes.
final class RoutingInbox: Sendable {
    /// The most commands that wait; a further one is refused, and asked again by the gateway.
    static let commandsMax = 10_000
    /// The most commands of one group, which is one commit.
    static let groupMax = 512

    /// A command, and who waits for its answer.
    struct Entry: Sendable {
        let command: RoutingCommand
        let continuation: CheckedContinuation<RoutingAnswer?, any Error>
    }

    /// What is worked on in one go.
    struct Group: Sendable {
        var entries: [Entry] = []
        /// One for each agent: how they stand now, whatever came before.
        var agentNews: [AgentNews] = []
        var capacities: [String: AgentCapacity] = [:]
        /// Those who wait until time has passed for routing.
        var sweeps: [CheckedContinuation<Void, Never>] = []
    }

    private struct State {
        var entries: [Entry] = []
        var agentNews: [String: AgentNews] = [:]
        var capacities: [String: AgentCapacity] = [:]
        var sweeps: [CheckedContinuation<Void, Never>] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    /// Something waits.
    let wakeUps: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    init() {
        (wakeUps, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// How many commands wait.
    var waiting: Int { state.withLock { $0.entries.count } }

    /// Does a command with the next group.
    ///
    /// - Returns: The answer, once it is stored.
    /// - Throws: `PresenceError`.
    func perform(_ command: RoutingCommand) async throws -> RoutingAnswer? {
        try await withCheckedThrowingContinuation { continuation in
            let isAccepted = state.withLock { state in
                guard !state.isClosed, state.entries.count < Self.commandsMax else { return false }
                state.entries.append(Entry(command: command, continuation: continuation))
                return true
            }
            if isAccepted { wake() } else { continuation.resume(throwing: PresenceError.routingUnavailable) }
        }
    }

    /// Takes what presence says of agents, in its order; of one agent the last word counts.
    func follow(_ news: [AgentNews]) {
        guard !news.isEmpty else { return }
        state.withLock { state in
            for item in news { state.agentNews[item.agentID] = item }
        }
        wake()
    }

    /// Takes what an account says of an agent.
    func learn(_ capacity: AgentCapacity, of agentID: String) {
        state.withLock { $0.capacities[agentID] = capacity }
        wake()
    }

    /// Lets time pass for routing, and returns when what follows from it is stored.
    func sweep() async {
        await withCheckedContinuation { continuation in
            let isAccepted = state.withLock { state in
                if !state.isClosed { state.sweeps.append(continuation) }
                return !state.isClosed
            }
            if isAccepted { wake() } else { continuation.resume() }
        }
    }

    /// Takes out what waits, at most a group.
    func take() -> Group {
        let (group, isMoreThere) = state.withLock { state in
            let group = Group(
                entries: Array(state.entries.prefix(Self.groupMax)),
                agentNews: Array(state.agentNews.values),
                capacities: state.capacities,
                sweeps: state.sweeps
            )
            state.entries.removeFirst(group.entries.count)
            state.agentNews = [:]
            state.capacities = [:]
            state.sweeps = []
            return (group, !state.entries.isEmpty)
        }
        if isMoreThere { wake() }
        return group
    }

    /// Ends it: what waits is refused, and whatever comes later.
    func close() {
        let (entries, sweeps) = state.withLock { state in
            state.isClosed = true
            defer {
                state.entries = []
                state.sweeps = []
            }
            return (state.entries, state.sweeps)
        }
        for entry in entries { entry.continuation.resume(throwing: PresenceError.routingUnavailable) }
        for sweep in sweeps { sweep.resume() }
        waker.finish()
    }

    // MARK: -

    private func wake() { waker.yield() }
}

/// What an agent's account says, or that it could not be asked for.
enum AgentCapacity: Sendable, Equatable {
    /// Conversations at once; `nil` for the default.
    case told(Int?)
    case unanswered
}
