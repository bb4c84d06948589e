import Contracts
import Core
import ServiceKit

/// The owner of the routing table: commands and news come through its inbox, one group after the other, and each group
/// is one commit.
///
/// Answers, offers and the queue are told after the commit. When it fails, the table is loaded from the store again,
/// and whoever asked gets 503 and asks again.
actor Routing {
    nonisolated let inbox = RoutingInbox()
    /// Says that an agent has come or gone, that accounts have changed, or that time has passed: for who keeps up what
    /// is known of them.
    nonisolated let agentNews: AsyncStream<Void>
    private nonisolated let agentSignal: AsyncStream<Void>.Continuation
    private nonisolated let ended: AsyncStream<Void>
    private nonisolated let endSignal: AsyncStream<Void>.Continuation
    private var table: RoutingTable
    private let store: any RoutingStore
    private let feed: ChangeFeed
    private let log: Log
    private let metrics: RoutingMetrics
    private let clock: @Sendable () -> Moment
    private let queueInterval: Milliseconds
    private var hasToReload = false
    private var shownVersion = 0
    private var shownAt: Milliseconds?
    /// Until then the loaded queue is not shown: which agents are there is not known yet, and customers who wait would
    /// be told of it.
    private var queueHeldUntil: Milliseconds?

    /// - Parameters:
    ///   - table: As the store has it.
    ///   - queueInterval: The least span between two queues shown.
    init(
        _ table: RoutingTable,
        store: any RoutingStore,
        feed: ChangeFeed,
        queueInterval: Milliseconds,
        log: Log,
        metrics: RoutingMetrics,
        clock: @escaping @Sendable () -> Moment
    ) {
        self.table = table
        self.store = store
        self.feed = feed
        self.queueInterval = queueInterval
        self.log = log
        self.metrics = metrics
        self.clock = clock
        (agentNews, agentSignal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (ended, endSignal) = AsyncStream.makeStream()
        let now = clock().monotonic
        queueHeldUntil = table.line.isEmpty ? nil : now + table.limits.startGrace
        feed.offer(table.pendingDecisions.map { ($0, now) })
        metrics.pending.set(feed.pendingDecisions)
    }

    /// Works until cancelled or closed.
    nonisolated func run() async {
        for await _ in inbox.wakeUps { await work() }
        inbox.close()
        agentSignal.finish()
        endSignal.finish()
    }

    /// Takes nothing more, and returns when the group in progress is done: the store may be closed then.
    nonisolated func stop() async {
        inbox.close()
        for await _ in ended {}
    }

    /// A conversation's state and its decisions, newest first.
    func history(of conversationID: String, limit: Int) async throws -> RoutingHistory {
        guard let answer = try await inbox.perform(.look(conversationID: conversationID)) else {
            throw PresenceError.unknownConversation
        }
        let decisions = try await store.decisions(of: conversationID, limit: limit)
        return RoutingHistory(answer: answer, decisions: decisions)
    }

    /// What accounts say of agents may have changed.
    nonisolated func noteAccounts() { agentSignal.yield() }

    /// The agents who are connected, by id, each with the number of their stay.
    var connectedAgents: [(agentID: String, stay: Int)] { table.agents.connected }

    // MARK: - One group

    private func work() async {
        let group = inbox.take()
        let now = clock()
        // What presence says of agents holds whatever becomes of the group.
        for news in group.agentNews { table.agents.follow(news, now: now.monotonic) }
        for (agentID, capacity) in group.capacities { learn(capacity, of: agentID) }
        let isSweep = !group.sweeps.isEmpty
        if isSweep || !group.agentNews.isEmpty { agentSignal.yield() }
        do {
            try await reloadIfNeeded(now: now)
            try await admit(group.entries.map(\.command), now: now)
        } catch {
            fail(group, error)
            return
        }
        let outcomes = group.entries.map { entry in
            Result { try table.perform(entry.command, now: now) }
        }
        if isSweep { table.advance(now: now) } else { table.drain(now: now) }
        let effects = table.takeEffects()
        do {
            if !effects.isEmpty { try await store.store(effects) }
        } catch {
            hasToReload = true
            fail(group, error)
            return
        }
        publish(effects, answeredWith: outcomes, now: now)
        if isSweep { measureWait(now: now) }
        for (entry, outcome) in zip(group.entries, outcomes) { entry.continuation.resume(with: outcome) }
        for sweep in group.sweeps { sweep.resume() }
    }

    private func learn(_ capacity: AgentCapacity, of agentID: String) {
        switch capacity {
        case .told(let capacity): table.agents.setCapacity(capacity, of: agentID)
        case .unanswered: table.agents.presumeCapacity(of: agentID)
        }
    }

    private func reloadIfNeeded(now: Moment) async throws {
        guard hasToReload else { return }
        table.reload(try await store.liveConversations(), now: now)
        feed.replaceOffers(table.pendingDecisions)
        metrics.pending.set(feed.pendingDecisions)
        hasToReload = false
        log.info("routing_reloaded", ["conversations": .int(table.count)])
    }

    /// Brings in the rows that the commands need and that are not in memory.
    private func admit(_ commands: [RoutingCommand], now: Moment) async throws {
        let needed = Set(commands.compactMap(\.neededConversationID)).filter { table.conversation($0) == nil }
        guard !needed.isEmpty else { return }
        for conversation in try await store.conversations(needed.sorted()) { table.admit(conversation, now: now) }
    }

    private func fail(_ group: RoutingInbox.Group, _ error: any Error) {
        metrics.failures.increment()
        log.error("routing_not_stored", ["commands": .int(group.entries.count), "error": .string("\(error)")])
        for entry in group.entries { entry.continuation.resume(throwing: PresenceError.routingUnavailable) }
        for sweep in group.sweeps { sweep.resume() }
    }

    // MARK: - What is stored is told

    private func publish(
        _ effects: RoutingEffects,
        answeredWith outcomes: [Result<RoutingAnswer?, any Error>],
        now: Moment
    ) {
        // Whoever gets a decision as an answer appends it; others are offered it only if that takes too long.
        let returned = Set(outcomes.compactMap { try? $0.get()?.decision?.decisionID })
        let offers = effects.decisions.filter { $0.kind != .queued }.map { decision in
            let isReturned = returned.contains(decision.decisionID)
            return (decision, dueAt: isReturned ? now.monotonic + DecisionOffers.pause : now.monotonic)
        }
        feed.offer(offers, withdrawing: effects.loggedIDs)
        metrics.pending.set(feed.pendingDecisions)
        for decision in effects.decisions { report(decision) }
        metrics.waiting.set(table.line.count)
        metrics.open.set(table.openCount)
        showQueue(now: now.monotonic)
    }

    private func measureWait(now: Moment) {
        let longest = table.oldestWait.map { now.wall.milliseconds - $0.milliseconds } ?? 0
        metrics.oldestWait.set(Int(max(longest, 0) / 1000))
    }

    private func report(_ decision: RoutingDecision) {
        metrics.decisions.with(decision.kind.rawValue, decision.reason).increment()
        log.info(
            "routing_decided",
            [
                "conversation_id": .string(decision.conversationID), "decision_id": .string(decision.decisionID),
                "number": .int(decision.number), "kind": .string(decision.kind.rawValue),
                "agent_id": .string(decision.agentID ?? ""), "former_agent_id": .string(decision.formerAgentID ?? ""),
                "reason": .string(decision.reason), "requested_by": .string(decision.requestedBy ?? ""),
            ]
        )
    }

    private func showQueue(now: Milliseconds) {
        if let until = queueHeldUntil {
            guard now >= until else { return }
            queueHeldUntil = nil
        }
        guard table.queueVersion != shownVersion else { return }
        if let shownAt, now < shownAt + queueInterval { return }
        shownVersion = table.queueVersion
        shownAt = now
        feed.show(table.queue)
    }
}
