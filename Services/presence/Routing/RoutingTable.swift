import Contracts
import Core

/// Which agent has which customer's conversation, and who waits: every rule of routing, as a pure state machine.
///
/// Commands and time come in; answers come out, and what is to be stored gathers until `takeEffects`. The indexes
/// (line, slots, deadlines) are derived from the rows in one place, `index`, so that a table loaded from the store is
/// the same as the one that wrote it.
struct RoutingTable: Sendable {
    /// The spans and bounds that routing is run with.
    struct Limits: Sendable, Equatable {
        /// Conversations at once of an agent whose account does not say.
        var agentCapacity = 5
        /// Waiting conversations; a new one past it is refused.
        var queueMax = 10_000
        /// Waiting and open conversations, all of them in memory; a new one past it is refused.
        var conversationsMax = 100_000
        /// How long an agent may be gone before their conversations wait again.
        var agentGrace: Milliseconds = 60_000
        /// The least grace after a start: gateways need that long to announce who is there.
        var startGrace: Milliseconds = 10_000
        /// How long an agent may leave a customer without a first response; 0: for ever.
        var firstResponse: Milliseconds = 120_000
        /// How long a conversation is kept from the agent whom it was taken from.
        var avoidance: Milliseconds = 60_000
        /// A longer span between two `advance` means that this process itself stood still.
        var stallMin: Milliseconds = 2000
    }

    let limits: Limits
    private let makeID: @Sendable () -> String
    private var conversations: [String: RoutedConversation] = [:]
    var agents: RoutingAgents
    /// Everyone who waits.
    private(set) var line = SortedList<RoutedConversation.Place>()
    /// Those of them who may be given to an agent now.
    private var ready = SortedList<RoutedConversation.Place>()
    /// Until when a first response is waited for.
    private var responseDeadlines: [String: Milliseconds] = [:]
    /// Until when a conversation is kept from the agent whom it was taken from.
    private var avoidedUntil: [String: Milliseconds] = [:]
    private var lastTicket: Int64 = 0
    private var advancedAt: Milliseconds
    /// Grows whenever the line, or whether any agent is there, has changed.
    ///
    /// Begins with the wall clock's milliseconds, so that a start goes on above what the one before has told.
    private(set) var queueVersion: Int
    private var agentsWerePresent = false
    /// How many conversations have an agent.
    private(set) var openCount = 0
    // What has happened since the last `takeEffects`.
    private var changed: Set<String> = []
    private var visiting: Set<String> = []
    private var made: [RoutingDecision] = []
    private var logged: [String] = []

    /// - Parameters:
    ///   - limits: Spans and bounds.
    ///   - live: The store's conversations that wait, have an agent or have a pending decision.
    ///   - now: The grace of their agents begins now (DESIGN R11).
    ///   - makeID: Makes decision ids, never the same twice.
    init(
        limits: Limits = Limits(),
        live: [RoutedConversation] = [],
        now: Moment,
        makeID: @escaping @Sendable () -> String
    ) {
        self.limits = limits
        self.makeID = makeID
        agents = RoutingAgents(defaultCapacity: limits.agentCapacity, grace: limits.agentGrace)
        queueVersion = Int(now.wall.milliseconds)
        advancedAt = now.monotonic
        enter(live, now: now)
        agents.extendGraces(to: now.monotonic + max(limits.agentGrace, limits.startGrace))
    }

    /// Takes the store's word for the conversations, keeping what presence said of the agents: the last effects may or
    /// may not have been stored.
    mutating func reload(_ live: [RoutedConversation], now: Moment) {
        conversations = [:]
        line = SortedList()
        ready = SortedList()
        responseDeadlines = [:]
        avoidedUntil = [:]
        openCount = 0
        made = []
        logged = []
        enter(live, now: now)
        changed = []
        visiting = []
        queueVersion += 1
    }

    private mutating func enter(_ live: [RoutedConversation], now: Moment) {
        // The slots are rebuilt in one go, so that the graces of those who are gone are kept.
        agents.rebuildSlots { agents in
            for conversation in live { agents.moveSlots(from: nil, to: conversation, now: now.monotonic) }
        }
        for conversation in live { index(conversation, replacing: nil, now: now) }
        lastTicket = max(lastTicket, live.map(\.ticket).max() ?? 0)
    }

    // MARK: - Reading

    /// How many conversations are in memory.
    var count: Int { conversations.count }

    /// The conversation, if it is in memory.
    func conversation(_ conversationID: String) -> RoutedConversation? { conversations[conversationID] }

    /// Every decision whose entry is not known to be in the log.
    var pendingDecisions: [RoutingDecision] { conversations.values.compactMap(\.pending) }

    /// Since when the one who has waited longest waits.
    var oldestWait: Timestamp? { line.elements.compactMap { conversations[$0.conversationID]?.queuedAt }.min() }

    /// The queue as gateways are told.
    var queue: WaitingQueue {
        WaitingQueue(
            version: queueVersion,
            agentsPresent: agents.connectedCount > 0,
            waiting: line.elements.prefix(WaitingQueue.waitingMax).compactMap { place in
                conversations[place.conversationID].map {
                    .init(conversationID: $0.conversationID, customerID: $0.customerID, reason: $0.reason)
                }
            }
        )
    }

    /// How a conversation stands.
    func answer(_ conversation: RoutedConversation) -> RoutingAnswer {
        RoutingAnswer(
            conversationID: conversation.conversationID,
            state: conversation.state,
            agentID: conversation.agentID,
            position: position(of: conversation),
            queueVersion: conversation.place == nil ? nil : queueVersion,
            reason: conversation.reason,
            agentsPresent: agents.connectedCount > 0,
            decision: conversation.pending
        )
    }

    private func position(of conversation: RoutedConversation) -> Int? {
        conversation.place.flatMap(line.index).map { $0 + 1 }
    }

    // MARK: - Rows and their indexes

    /// Brings a row of the store in for the commands that need it; it leaves again with the effects if it is closed.
    mutating func admit(_ conversation: RoutedConversation, now: Moment) {
        guard conversations[conversation.conversationID] == nil else { return }
        visiting.insert(conversation.conversationID)
        agents.moveSlots(from: nil, to: conversation, now: now.monotonic)
        index(conversation, replacing: nil, now: now)
    }

    /// Enters a changed row: slots, line and deadlines follow from it.
    mutating func place(_ conversation: RoutedConversation, now: Moment) {
        let old = conversations[conversation.conversationID]
        changed.insert(conversation.conversationID)
        agents.moveSlots(from: old, to: conversation, now: now.monotonic)
        index(conversation, replacing: old, now: now)
    }

    private mutating func index(_ new: RoutedConversation, replacing old: RoutedConversation?, now: Moment) {
        let conversationID = new.conversationID
        conversations[conversationID] = new
        openCount += (new.state == .open ? 1 : 0) - (old?.state == .open ? 1 : 0)
        if old?.place != new.place {
            if let place = old?.place { line.remove(place) }
            if let place = new.place { line.insert(place) }
            queueVersion += 1
        }
        if old?.readyPlace != new.readyPlace {
            if let place = old?.readyPlace { ready.remove(place) }
            if let place = new.readyPlace { ready.insert(place) }
        }
        if !new.isAwaitingResponse || limits.firstResponse == 0 {
            responseDeadlines[conversationID] = nil
        } else if old?.isAwaitingResponse != true || old?.agentID != new.agentID {
            responseDeadlines[conversationID] = now.monotonic + limits.firstResponse
        }
        if new.avoidedAgentID == nil {
            avoidedUntil[conversationID] = nil
        } else if old?.avoidedAgentID != new.avoidedAgentID {
            avoidedUntil[conversationID] = now.monotonic + limits.avoidance
        }
    }

    /// What is to be stored; closed conversations leave the memory with it.
    mutating func takeEffects() -> RoutingEffects {
        noteAgentsPresent()
        let rows = changed.sorted().compactMap { conversations[$0] }
        for conversationID in changed.union(visiting) where conversations[conversationID]?.isLive == false {
            conversations[conversationID] = nil
        }
        defer {
            changed = []
            visiting = []
            made = []
            logged = []
        }
        return RoutingEffects(conversations: rows, decisions: made, loggedIDs: logged)
    }

    private mutating func noteAgentsPresent() {
        let arePresent = agents.connectedCount > 0
        if arePresent != agentsWerePresent { queueVersion += 1 }
        agentsWerePresent = arePresent
    }

    // MARK: - Decisions

    /// Who asked for a decision, and what they said.
    struct Request {
        var requestedBy: String?
        var note: String?
        /// The head when a close was asked for.
        var seq: Int?
    }

    /// Numbers a decision; all but `queued` are pending from here on.
    mutating func decide(
        _ kind: RoutingDecision.Kind,
        of conversation: inout RoutedConversation,
        agentID: String? = nil,
        reason: RoutingReason,
        _ request: Request = Request(),
        now: Moment
    ) {
        conversation.decisionNumber += 1
        conversation.reason = reason.rawValue
        let decision = RoutingDecision(
            decisionID: makeID(),
            number: conversation.decisionNumber,
            conversationID: conversation.conversationID,
            kind: kind,
            agentID: agentID,
            formerAgentID: conversation.agentID,
            position: kind == .queued ? position(of: conversation) : nil,
            reason: reason.rawValue,
            requestedBy: request.requestedBy,
            note: request.note,
            seq: request.seq,
            at: now.wall
        )
        if kind != .queued { conversation.pending = decision }
        made.append(decision)
    }

    /// Gives the conversation to an agent.
    mutating func give(
        _ conversation: RoutedConversation,
        to agentID: String,
        reason: RoutingReason,
        _ request: Request = Request(),
        now: Moment
    ) {
        var conversation = conversation
        let kind: RoutingDecision.Kind = conversation.state == .open ? .transferred : .assigned
        decide(kind, of: &conversation, agentID: agentID, reason: reason, request, now: now)
        if conversation.state == .closed { conversation.ticket = nextTicket() }
        conversation.state = .open
        conversation.agentID = agentID
        conversation.lastAgentID = agentID
        conversation.leaveQueue()
        // Who takes it by writing has written.
        conversation.isAwaitingResponse = reason != .agentWrote
        place(conversation, now: now)
    }

    /// Puts an open conversation back to the front of the queue.
    mutating func requeue(
        _ conversation: RoutedConversation,
        reason: RoutingReason,
        _ request: Request = Request(),
        now: Moment
    ) {
        var conversation = conversation
        decide(.transferred, of: &conversation, reason: reason, request, now: now)
        // An agent who was lost may have it again when they are back; who let it go or did not answer, not at once.
        conversation.avoidedAgentID = reason == .agentLost ? nil : conversation.agentID
        conversation.agentID = nil
        conversation.isAwaitingResponse = false
        conversation.isRequeued = true
        enqueue(&conversation, now: now)
    }

    /// Puts the conversation at the end of those of its priority.
    mutating func enqueue(_ conversation: inout RoutedConversation, now: Moment) {
        conversation.ticket = nextTicket()
        conversation.state = .queued
        conversation.queuedAt = now.wall
        place(conversation, now: now)
    }

    private mutating func nextTicket() -> Int64 {
        lastTicket += 1
        return lastTicket
    }

    /// The decision's entry is in the log.
    mutating func settle(_ conversation: inout RoutedConversation, seq: Int, now: Moment) {
        if let decision = conversation.pending { logged.append(decision.decisionID) }
        conversation.pending = nil
        conversation.loggedSeq = max(conversation.loggedSeq, seq)
        conversation.need = nil
        place(conversation, now: now)
    }

    /// Gives waiting conversations to agents while any has room, in order.
    mutating func drain(now: Moment) {
        var index = 0
        while index < ready.count, agents.areAnyAvailable {
            guard let conversation = conversations[ready.elements[index].conversationID],
                let (agentID, reason) = choose(for: conversation, now: now)
            else {
                index += 1
                continue
            }
            // Takes it out of `ready`, so that the next one has its index.
            give(conversation, to: agentID, reason: reason, now: now)
        }
    }

    /// The agent for a waiting conversation: named, else the last one, else the least loaded.
    ///
    /// The first two are preferences: one who is not available is not waited for.
    private func choose(
        for conversation: RoutedConversation,
        now: Moment
    ) -> (agentID: String, reason: RoutingReason)? {
        let isAvoiding = (avoidedUntil[conversation.conversationID] ?? .min) > now.monotonic
        let avoided = isAvoiding ? conversation.avoidedAgentID : nil
        let preferences: [(agentID: String?, reason: RoutingReason)] = [
            (conversation.namedAgentID, .namedAgent), (conversation.lastAgentID, .lastAgent),
        ]
        for case (let agentID?, let reason) in preferences where agentID != avoided {
            if agents.isAvailable(agentID) { return (agentID, reason) }
        }
        return agents.leastLoaded(except: avoided).map { ($0, .leastLoaded) }
    }

    // MARK: - Time

    /// Lets time pass: agents who were gone too long, customers who got no response, then whoever can be served.
    mutating func advance(now: Moment) {
        let span = now.monotonic - advancedAt
        advancedAt = now.monotonic
        if span >= limits.stallMin {
            agents.postpone(by: span)
            for conversationID in responseDeadlines.keys { responseDeadlines[conversationID]? += span }
        }
        for agentID in agents.lost(now: now.monotonic) {
            let theirs = (agents[agentID]?.conversations ?? []).compactMap { conversations[$0] }
            // Whoever came first is first again.
            for conversation in theirs.sorted(by: { $0.ticket < $1.ticket }) where conversation.pending == nil {
                requeue(conversation, reason: .agentLost, now: now)
            }
        }
        let overdue = responseDeadlines.filter { $0.value <= now.monotonic }
        for (conversationID, _) in overdue.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            guard let conversation = conversations[conversationID], conversation.pending == nil,
                // One place for each who waits already, and one for this customer.
                agents.room(except: conversation.agentID) > line.count
            else { continue }
            requeue(conversation, reason: .noResponse, now: now)
        }
        drain(now: now)
    }
}

/// What a group of commands has changed, to be stored in one step.
struct RoutingEffects: Sendable, Equatable {
    /// The changed rows as they are now.
    var conversations: [RoutedConversation] = []
    /// New decisions, in the order in which they were made.
    var decisions: [RoutingDecision] = []
    /// Decisions that are not pending any more.
    var loggedIDs: [String] = []

    var isEmpty: Bool { conversations.isEmpty && decisions.isEmpty }
}
