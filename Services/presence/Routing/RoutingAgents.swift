/// The agents as routing has them: who is there, with how much room, and since when they have been gone.
///
/// Pure. In it are those who are connected and those who hold a slot; what was known of others is forgotten.
struct RoutingAgents: Sendable {
    /// One agent.
    struct Agent: Sendable, Equatable {
        var isConnected = false
        var status = ChosenStatus.online
        /// What their account says; `nil` for the default.
        var capacity: Int?
        /// Tells this stay from an earlier one of theirs, of which all was forgotten.
        let stay: Int
        /// Whether their account was asked for: until then they get nothing by themselves, so that the first
        /// moments after they join cannot exceed what the account says.
        var isCapacityKnown = false
        /// The conversations that are theirs.
        var conversations: Set<String> = []
        /// Slots of conversations that are not theirs any more, whose entry saying so is not logged yet.
        var heldSlots = 0
        /// When they last took or freed a slot, or came.
        var idleSince: Milliseconds = 0
        /// When they are given up, while they are not connected.
        var lostAt: Milliseconds?

        /// The slots taken.
        var load: Int { conversations.count + heldSlots }
    }

    let defaultCapacity: Int
    /// How long an agent may be gone.
    let grace: Milliseconds
    private var byID: [String: Agent] = [:]
    /// Those whom the next conversation may be given to, whose turn it is first.
    private var available = SortedList<Rank>()
    /// How many are connected, available or not.
    private(set) var connectedCount = 0
    /// Those who are gone and hold slots.
    private(set) var gone: Set<String> = []
    private var stays = 0

    init(defaultCapacity: Int, grace: Milliseconds) {
        self.defaultCapacity = defaultCapacity
        self.grace = grace
    }

    subscript(_ agentID: String) -> Agent? { byID[agentID] }

    /// Those who are there, by id.
    var connected: [(agentID: String, stay: Int)] {
        byID.filter { $0.value.isConnected }.map { ($0.key, $0.value.stay) }.sorted { $0.agentID < $1.agentID }
    }

    func capacity(of agentID: String) -> Int { byID[agentID]?.capacity ?? defaultCapacity }

    /// Whether a conversation may be given to anyone.
    var areAnyAvailable: Bool { !available.isEmpty }

    /// Whether the next conversation may be given to the agent.
    func isAvailable(_ agentID: String) -> Bool { rank(of: agentID) != nil }

    /// The available agent with the fewest slots taken; of several the longest idle, then the first by id.
    func leastLoaded(except avoided: String?) -> String? {
        available.elements.first { $0.agentID != avoided }?.agentID
    }

    /// How many more conversations the available agents other than `excluded` can take.
    func room(except excluded: String?) -> Int {
        available.elements.reduce(0) { sum, rank in
            rank.agentID == excluded ? sum : sum + capacity(of: rank.agentID) - rank.load
        }
    }

    // MARK: - Who is there

    /// Enters what presence says of an agent.
    mutating func follow(_ news: AgentNews, now: Milliseconds) {
        change(news.agentID) { [grace] agent in
            agent.status = news.status
            if news.isConnected {
                if !agent.isConnected, agent.load == 0 { agent.idleSince = now }
                agent.lostAt = nil
            } else {
                agent.lostAt = max(agent.lostAt ?? .min, news.heardAt + grace)
            }
            agent.isConnected = news.isConnected
        }
    }

    /// An agent who is not connected has done something by another way: their grace begins anew.
    mutating func hear(_ agentID: String, now: Milliseconds) {
        change(agentID) { [grace] agent in
            if !agent.isConnected { agent.lostAt = now + grace }
        }
    }

    /// Enters what an agent's account says; `nil` for the default.
    mutating func setCapacity(_ capacity: Int?, of agentID: String) {
        guard byID[agentID] != nil else { return }
        change(agentID) { agent in
            agent.capacity = capacity
            agent.isCapacityKnown = true
        }
    }

    /// The account could not be asked for: what was known before, or the default, has to do.
    mutating func presumeCapacity(of agentID: String) {
        guard byID[agentID] != nil else { return }
        change(agentID) { $0.isCapacityKnown = true }
    }

    /// Those whose grace is over, by id.
    func lost(now: Milliseconds) -> [String] {
        gone.filter { (byID[$0]?.lostAt ?? .max) <= now }.sorted()
    }

    /// Lengthens the graces by a span in which this process did not run.
    mutating func postpone(by span: Milliseconds) {
        for agentID in gone { byID[agentID]?.lostAt? += span }
    }

    /// Gives everyone who is gone at least until `time`.
    mutating func extendGraces(to time: Milliseconds) {
        for agentID in gone {
            let lostAt = byID[agentID]?.lostAt ?? time
            byID[agentID]?.lostAt = max(lostAt, time)
        }
    }

    // MARK: - Slots

    /// Moves a conversation's slots from those who had them to those who have them now.
    mutating func moveSlots(from old: RoutedConversation?, to new: RoutedConversation?, now: Milliseconds) {
        let places = [old?.agentID, old?.formerAgentID, new?.agentID, new?.formerAgentID]
        guard let conversationID = new?.conversationID ?? old?.conversationID else { return }
        for agentID in Set(places.compactMap { $0 }) {
            change(agentID) { [grace] agent in
                let before = agent.load
                if old?.agentID == agentID { agent.conversations.remove(conversationID) }
                if old?.formerAgentID == agentID { agent.heldSlots -= 1 }
                if new?.agentID == agentID { agent.conversations.insert(conversationID) }
                if new?.formerAgentID == agentID { agent.heldSlots += 1 }
                guard agent.load != before else { return }
                agent.idleSince = now
                if !agent.isConnected, agent.lostAt == nil { agent.lostAt = now + grace }
            }
        }
    }

    /// Frees every slot, has `refill` take them anew, and forgets who then is neither there nor has any.
    mutating func rebuildSlots(_ refill: (inout RoutingAgents) -> Void) {
        for agentID in byID.keys {
            byID[agentID]?.conversations = []
            byID[agentID]?.heldSlots = 0
        }
        available = SortedList()
        for agentID in byID.keys.sorted() {
            if let rank = rank(of: agentID) { available.insert(rank) }
        }
        refill(&self)
        for agentID in Array(byID.keys) { change(agentID) { _ in } }
    }

    // MARK: -

    private mutating func change(_ agentID: String, _ body: (inout Agent) -> Void) {
        let wasConnected = byID[agentID]?.isConnected ?? false
        let oldRank = rank(of: agentID)
        if byID[agentID] == nil {
            stays += 1
            byID[agentID] = Agent(stay: stays)
        }
        // In place: a copy would copy the set of conversations.
        body(&byID[agentID, default: Agent(stay: stays)])
        guard let agent = byID[agentID] else { return }
        if agent.isConnected != wasConnected { connectedCount += agent.isConnected ? 1 : -1 }
        let newRank = rank(of: agentID)
        if newRank != oldRank {
            if let oldRank { available.remove(oldRank) }
            if let newRank { available.insert(newRank) }
        }
        if !agent.isConnected, agent.load > 0 { gone.insert(agentID) } else { gone.remove(agentID) }
        if !agent.isConnected, agent.load == 0 { byID[agentID] = nil }
    }

    /// Where the agent stands among those who are available.
    private func rank(of agentID: String) -> Rank? {
        guard let agent = byID[agentID], agent.isConnected, agent.status == .online, agent.isCapacityKnown,
            agent.load < agent.capacity ?? defaultCapacity
        else { return nil }
        return Rank(load: agent.load, idleSince: agent.idleSince, agentID: agentID)
    }

    /// The fewest slots taken come first, then the longest idle.
    private struct Rank: Sendable, Comparable {
        let load: Int
        let idleSince: Milliseconds
        let agentID: String

        static func < (a: Rank, b: Rank) -> Bool {
            (a.load, a.idleSince, a.agentID) < (b.load, b.idleSince, b.agentID)
        }
    }
}

/// What presence tells routing of an agent: how they stand now, whatever came before.
struct AgentNews: Sendable, Equatable {
    let agentID: String
    /// Whether any registration has a connection of theirs; nobody in the grace after a drop.
    let isConnected: Bool
    let status: ChosenStatus
    /// When a frame of theirs was last heard, on the monotonic clock; now, while they are connected.
    let heardAt: Milliseconds
}
