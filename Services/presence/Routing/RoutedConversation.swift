import Contracts
import Core

/// A customer's conversation as routing has it: one row of the store.
///
/// Rows of conversations that wait, have an agent or have a pending decision are in memory; those that are closed stay
/// in the store and are read when somebody asks for them.
struct RoutedConversation: Sendable, Equatable {
    /// A message that came while a decision was pending: it is looked at again when that decision's entry is logged.
    struct Need: Sendable, Equatable {
        let seq: Int
        /// The agent whom a customer named.
        let agentID: String?
        let requestedBy: String
        let requesterType: UserType
    }

    let conversationID: String
    let customerID: String
    var state = RoutingState.closed
    /// The agent who has it, from the decision on.
    var agentID: String?
    /// The agent who had it last, kept when it is closed.
    var lastAgentID: String?
    /// The agent whom the customer named, while it waits.
    var namedAgentID: String?
    /// The agent whom it was just taken from, while it waits.
    var avoidedAgentID: String?
    /// Whether it had an agent before: such wait at the front.
    var isRequeued = false
    /// Its turn among those that wait with the same priority, unique; from when it was opened or last came to wait.
    var ticket: Int64 = 0
    /// Since when it waits.
    var queuedAt: Timestamp?
    /// The last decision's reason.
    var reason = ""
    /// The last decision's number, 0 before the first.
    var decisionNumber = 0
    /// The last decision, until its entry is in the log.
    var pending: RoutingDecision?
    /// The sequence of the newest decision's entry that is known to be in the log: what is asked for by an earlier
    /// message was settled by that entry.
    var loggedSeq = 0
    /// Whether its agent has not written since it was given to them.
    var isAwaitingResponse = false
    var need: Need?

    init(conversationID: String, customerID: String) {
        self.conversationID = conversationID
        self.customerID = customerID
    }

    /// Whether it belongs in memory.
    var isLive: Bool { state != .closed || pending != nil }

    /// The agent whose slot it takes until the pending decision's entry is logged.
    var formerAgentID: String? { pending?.formerAgentID }

    /// Its place in the line, while it waits.
    var place: Place? {
        guard state == .queued else { return nil }
        return Place(priority: isRequeued ? 0 : 1, ticket: ticket, conversationID: conversationID)
    }

    /// Its place among those that may be given to an agent now: not while a decision is pending.
    var readyPlace: Place? { pending == nil ? place : nil }

    /// Forgets what belongs to waiting.
    mutating func leaveQueue() {
        namedAgentID = nil
        avoidedAgentID = nil
        isRequeued = false
        queuedAt = nil
    }
}

extension RoutedConversation {
    /// Where it stands among those that wait.
    struct Place: Sendable, Comparable {
        /// Lower comes first.
        let priority: Int
        /// Lower comes first; unique.
        let ticket: Int64
        let conversationID: String

        static func < (a: Place, b: Place) -> Bool { (a.priority, a.ticket) < (b.priority, b.ticket) }
    }
}

extension RoutedConversation.Need {
    init(_ request: AssignmentRequest) {
        self.init(
            seq: request.seq,
            agentID: request.agentID,
            requestedBy: request.requestedBy,
            requesterType: request.requesterType
        )
    }

    /// Whether this one is to be kept when both came: the newer.
    ///
    /// The log asks for a customer only while no agent's message asks, so an older one is passed by the entry between.
    func outranks(_ other: Self) -> Bool { seq > other.seq }
}

/// Why a decision was made: the stable words of `RoutingDecision.reason`.
enum RoutingReason: String, Sendable, CaseIterable {
    // assigned
    case namedAgent = "named_agent"
    case lastAgent = "last_agent"
    case leastLoaded = "least_loaded"
    case agentTook = "agent_took"
    case agentWrote = "agent_wrote"
    case assignedBy = "assigned_by"
    // transferred
    case transferredBy = "transferred_by"
    case returnedToQueue = "returned_to_queue"
    case agentLost = "agent_lost"
    case noResponse = "no_response"
    // queued
    case noAgent = "no_agent"
    case allBusy = "all_busy"
    // closed
    case closedBy = "closed_by"
}
