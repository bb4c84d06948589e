import Contracts
import Core

/// What gateways ask of routing.
enum RoutingCommand: Sendable {
    /// A message has come into a conversation that has no agent.
    case need(AssignmentRequest)
    case assign(RoutingRequest)
    case transfer(RoutingRequest)
    case close(RoutingRequest)
    /// The assigned agent has written for the first time since they were assigned.
    case answered(FirstResponse)
    /// The decision's entry is in the log.
    case logged(decisionID: String, DecisionLogged)
    /// How the conversation stands.
    case look(conversationID: String)

    /// The conversation whose row the command needs, if it is not in memory; `nil` for those that change nothing then.
    var neededConversationID: String? {
        switch self {
        case .need(let request): request.conversationID
        case .assign(let request), .transfer(let request), .close(let request): request.conversationID
        case .look(let conversationID): conversationID
        case .answered, .logged: nil
        }
    }
}

extension RoutingTable {
    /// Does what is asked, and all that follows from it.
    ///
    /// - Returns: How the conversation stands then; `nil` for reports, whose answer is empty.
    mutating func perform(_ command: RoutingCommand, now: Moment) throws(PresenceError) -> RoutingAnswer? {
        switch command {
        case .need(let request): return try need(request, now: now)
        case .assign(let request):
            guard let agentID = request.agentID else { throw .unknownAgent }
            return try hand(request, to: agentID, now: now)
        case .transfer(let request):
            guard let agentID = request.agentID else { return try returnToQueue(request, now: now) }
            return try hand(request, to: agentID, now: now)
        case .close(let request): return try close(request, now: now)
        case .answered(let response):
            answered(response, now: now)
            return nil
        case .logged(let decisionID, let report):
            logged(decisionID, report, now: now)
            return nil
        case .look(let conversationID): return answer(try known(conversationID))
        }
    }

    // MARK: - Messages

    private mutating func need(_ request: AssignmentRequest, now: Moment) throws(PresenceError) -> RoutingAnswer {
        let conversation =
            conversation(request.conversationID)
            ?? RoutedConversation(conversationID: request.conversationID, customerID: request.customerID)
        // The newest decision's entry came after the message, and settled what it asked for.
        guard request.seq >= conversation.loggedSeq else { return answer(conversation) }
        let need = RoutedConversation.Need(request)
        if conversation.pending != nil, conversation.state != .open {
            remember(need, in: conversation, now: now)
        } else {
            guard conversation.state != .closed || hasRoom(for: need) else { throw .queueFull }
            meet(need, of: conversation, now: now)
        }
        return answer(self.conversation(request.conversationID) ?? conversation)
    }

    private func hasRoom(for need: RoutedConversation.Need) -> Bool {
        // An agent's message needs no place in the queue.
        (need.requesterType == .agent || line.count < limits.queueMax)
            && openCount + line.count < limits.conversationsMax
    }

    /// A decision is pending: the message is looked at when its entry is logged, and so its place among the messages
    /// known.
    private mutating func remember(_ need: RoutedConversation.Need, in conversation: RoutedConversation, now: Moment) {
        var conversation = conversation
        // One that waits already needs nothing but an agent who takes it.
        guard conversation.state == .closed || need.requesterType == .agent,
            conversation.need.map(need.outranks) ?? true
        else { return }
        conversation.need = need
        place(conversation, now: now)
    }

    private mutating func meet(_ need: RoutedConversation.Need, of conversation: RoutedConversation, now: Moment) {
        var conversation = conversation
        switch (conversation.state, need.requesterType) {
        case (.open, _):
            // Whoever wrote before their assignment was in the log has written all the same.
            guard conversation.agentID == need.requestedBy, conversation.isAwaitingResponse else { return }
            conversation.isAwaitingResponse = false
            place(conversation, now: now)
        case (_, .agent):
            agents.hear(need.requestedBy, now: now.monotonic)
            let request = Request(requestedBy: need.requestedBy)
            give(conversation, to: need.requestedBy, reason: .agentWrote, request, now: now)
        case (.queued, .customer): break
        case (.closed, .customer):
            conversation.namedAgentID = need.agentID
            enqueue(&conversation, now: now)
            drain(now: now)
            guard var waiting = self.conversation(conversation.conversationID), waiting.state == .queued else { return }
            decide(.queued, of: &waiting, reason: agents.connectedCount > 0 ? .allBusy : .noAgent, now: now)
            place(waiting, now: now)
        }
    }

    private mutating func answered(_ response: FirstResponse, now: Moment) {
        guard var conversation = conversation(response.conversationID), conversation.isAwaitingResponse,
            conversation.agentID == response.agentID,
            // A late report of a former turn of theirs says nothing of this one.
            response.seq > conversation.loggedSeq
        else { return }
        conversation.isAwaitingResponse = false
        place(conversation, now: now)
    }

    private mutating func logged(_ decisionID: String, _ report: DecisionLogged, now: Moment) {
        guard var conversation = conversation(report.conversationID), conversation.pending?.decisionID == decisionID
        else { return }
        let need = conversation.need
        settle(&conversation, seq: report.seq, now: now)
        if let need, need.seq >= conversation.loggedSeq { meet(need, of: conversation, now: now) }
        drain(now: now)
    }

    // MARK: - What somebody asks for by hand

    /// Gives a waiting conversation, or one that has another agent, to the agent.
    private mutating func hand(
        _ request: RoutingRequest,
        to agentID: String,
        now: Moment
    ) throws(PresenceError) -> RoutingAnswer {
        let conversation = try known(request.conversationID)
        let isOwn = agentID == request.requestedBy
        switch conversation.state {
        case .closed: throw .conversationClosed
        case .open:
            guard request.isAdmin || conversation.agentID == request.requestedBy else { throw .notTheirConversation }
            if conversation.agentID == agentID { return answer(conversation) }
        case .queued:
            guard request.isAdmin || isOwn else { throw .notTheirConversation }
        }
        guard conversation.pending == nil else { throw .decisionPending }
        if isOwn { agents.hear(agentID, now: now.monotonic) } else { try checkRoom(of: agentID) }
        let reason: RoutingReason = conversation.state == .open ? .transferredBy : isOwn ? .agentTook : .assignedBy
        give(conversation, to: agentID, reason: reason, Request(request), now: now)
        return answer(self.conversation(request.conversationID) ?? conversation)
    }

    private func checkRoom(of agentID: String) throws(PresenceError) {
        guard let agent = agents[agentID], agent.isConnected, agent.status == .online else { throw .agentUnavailable }
        guard agent.isCapacityKnown else { throw .capacityUnknown }
        guard agent.load < agents.capacity(of: agentID) else { throw .agentAtCapacity }
    }

    private mutating func returnToQueue(_ request: RoutingRequest, now: Moment) throws(PresenceError) -> RoutingAnswer {
        let conversation = try known(request.conversationID)
        switch conversation.state {
        case .closed: throw .conversationClosed
        case .queued: return answer(conversation)
        case .open:
            guard request.isAdmin || conversation.agentID == request.requestedBy else { throw .notTheirConversation }
        }
        guard conversation.pending == nil else { throw .decisionPending }
        requeue(conversation, reason: .returnedToQueue, Request(request), now: now)
        return answer(self.conversation(request.conversationID) ?? conversation)
    }

    private mutating func close(_ request: RoutingRequest, now: Moment) throws(PresenceError) -> RoutingAnswer {
        var conversation = try known(request.conversationID)
        guard conversation.state != .closed else { return answer(conversation) }
        let isTheirs = conversation.state == .queued || conversation.agentID == request.requestedBy
        guard request.isAdmin || isTheirs else { throw .notTheirConversation }
        guard conversation.pending == nil else { throw .decisionPending }
        var why = Request(request)
        why.seq = request.seq
        decide(.closed, of: &conversation, reason: .closedBy, why, now: now)
        conversation.state = .closed
        conversation.agentID = nil
        conversation.isAwaitingResponse = false
        conversation.leaveQueue()
        place(conversation, now: now)
        return answer(conversation)
    }

    private func known(_ conversationID: String) throws(PresenceError) -> RoutedConversation {
        guard let conversation = conversation(conversationID) else { throw .unknownConversation }
        return conversation
    }
}

extension RoutingTable.Request {
    fileprivate init(_ request: RoutingRequest) {
        self.init(requestedBy: request.requestedBy, note: request.note)
    }
}
