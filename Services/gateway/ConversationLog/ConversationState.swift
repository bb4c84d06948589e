import Contracts
import Core

/// Who belongs to a conversation and who serves it, as its entries make it (DESIGN §4, Members).
///
/// Pure: an engine keeps one for each conversation in use, gives it every entry in order, and stores what the change
/// names in the step that stores the entry.
struct ConversationState: Equatable, Sendable {
    /// The customer of a `c:` conversation; `nil` between two agents, who stay members and need no routing.
    let customer: String?
    /// Who gets its entries now, in the order of joining.
    private(set) var members: [String]
    /// The assigned agent.
    private(set) var agent: String?
    /// The assigned agent, or the last one who was.
    private(set) var lastAgent: String?
    /// Whether presence's stored answer knows the conversation: its queue or an agent has it.
    private(set) var isRouted: Bool
    /// Whether the assigned agent has written since they were assigned.
    private(set) var hasAnswered: Bool
    /// The sequence of the last `closed`, 0 without one.
    private(set) var closedAt: Int
    /// The request for an agent that presence has not answered (DESIGN R10).
    private(set) var need: RoutingNeed?
    /// The sequence of the customer's last `Chat`, as far as it is known: an engine that has read the state from its
    /// store looks it up before a `closed`.
    var lastAsked: Int?

    /// A conversation without entries.
    init(conversationID: String) {
        self.init(conversationID: conversationID, Stored())
        lastAsked = 0
    }

    /// What an engine stores of a state.
    struct Stored {
        var members: [String] = []
        var agent: String?
        var lastAgent: String?
        var isRouted = false
        var hasAnswered = false
        var closedAt = 0
        var need: RoutingNeed?
    }

    init(conversationID: String, _ stored: Stored) {
        customer = ConversationName.customer(of: conversationID)
        members = stored.members
        agent = stored.agent
        lastAgent = stored.lastAgent
        isRouted = stored.isRouted
        hasAnswered = stored.hasAnswered
        closedAt = stored.closedAt
        need = stored.need
    }

    /// As lists show it; a conversation between agents is always open.
    var routing: RoutingState {
        if agent != nil || customer == nil { return .open }
        return isRouted || need != nil ? .queued : .closed
    }

    /// What an entry has changed.
    struct Change: Equatable, Sendable {
        /// What of the conversation's own data is to be stored.
        enum Extent: Sendable { case nothing, details, place }

        /// The members before and after the entry: who gets it.
        var audience: [String]
        /// Whose membership begins: where they were, but not before `start`.
        var joined: [String] = []
        var start = 0
        /// Whose membership ends with this entry.
        var ended: [String] = []
        /// `.place`: its state, so also its place in lists.
        var extent = Extent.nothing
        /// Whether a need that was outstanding is not any more; `need` may have taken its place.
        var isNeedDropped = false
        /// What now needs an agent.
        var need: RoutingNeed?
        /// The assigned agent, who has written for the first time.
        var answeredBy: String?

        /// Whether there is nothing to store.
        var isEmpty: Bool {
            extent == .nothing && joined.isEmpty && ended.isEmpty && !isNeedDropped && need == nil
        }
    }

    // MARK: - Entries

    /// Takes the entry that becomes the conversation's last one.
    mutating func take(_ append: Append, at sequence: Int) -> Change {
        var change = Change(audience: members, start: closedAt)
        guard let customer else {
            join(append.sender, &change)
            if let addressee = append.addressee { join(addressee, &change) }
            change.audience = members
            return change
        }
        if members.isEmpty { join(customer, &change) }
        switch append.kind {
        case .chat: takeChat(append, sequence, &change)
        case .recall: break
        case .assigned(let agentID): serve(agentID, &change)
        case .transferred(let agentID): serve(agentID, &change)
        case .closed(let asked): close(customer, asked, append.conversationID, sequence, &change)
        }
        if !change.joined.isEmpty || !change.ended.isEmpty {
            change.audience = members + change.ended
        }
        return change
    }

    private mutating func takeChat(_ append: Append, _ sequence: Int, _ change: inout Change) {
        join(append.sender, &change)
        if let addressee = append.addressee { join(addressee, &change) }
        let isByCustomer = append.senderType == .customer
        if isByCustomer { lastAsked = sequence }
        if let agent {
            guard !hasAnswered, append.sender == agent else { return }
            hasAnswered = true
            change.extent = .details
            change.answeredBy = agent
            return
        }
        // A customer asks once; an agent who writes takes the conversation, also out of the queue.
        let isAsked = isByCustomer ? isRouted || need != nil : need?.requesterType == .agent
        guard !isAsked, let senderType = append.senderType else { return }
        ask(
            RoutingNeed(
                conversationID: append.conversationID,
                sequence: sequence,
                requestedBy: append.sender,
                requesterType: senderType,
                agentID: isByCustomer ? append.addressee : nil
            ),
            &change
        )
    }

    /// The conversation has this agent from here on, or with `nil` waits in the queue.
    private mutating func serve(_ agentID: String?, _ change: inout Change) {
        if let agent, agent != agentID { end(agent, &change) }
        if let agentID {
            join(agentID, &change)
            lastAgent = agentID
        }
        agent = agentID
        hasAnswered = false
        isRouted = true
        dropNeed(&change)
        change.extent = .place
    }

    private mutating func close(
        _ customer: String,
        _ asked: Int,
        _ conversationID: String,
        _ sequence: Int,
        _ change: inout Change
    ) {
        for member in members where member != customer { end(member, &change) }
        agent = nil
        hasAnswered = false
        isRouted = false
        closedAt = sequence
        dropNeed(&change)
        change.extent = .place
        guard let lastAsked, lastAsked > asked else { return }
        // What the customer wrote meanwhile asks again, by this entry: presence takes an earlier one for stale.
        ask(
            RoutingNeed(
                conversationID: conversationID,
                sequence: sequence,
                requestedBy: customer,
                requesterType: .customer,
                agentID: nil
            ),
            &change
        )
    }

    /// Presence's stored answer to the outstanding need.
    mutating func settleNeed() {
        need = nil
        isRouted = true
    }

    private mutating func ask(_ wanted: RoutingNeed, _ change: inout Change) {
        if routing == .closed { change.extent = .place }
        if need != nil { change.isNeedDropped = true }
        need = wanted
        change.need = wanted
    }

    private mutating func dropNeed(_ change: inout Change) {
        if need != nil { change.isNeedDropped = true }
        need = nil
    }

    private mutating func join(_ user: String, _ change: inout Change) {
        guard !members.contains(user) else { return }
        members.append(user)
        change.joined.append(user)
    }

    private mutating func end(_ user: String, _ change: inout Change) {
        members.removeAll { $0 == user }
        change.ended.append(user)
    }
}
