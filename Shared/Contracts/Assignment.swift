package import Core

/// `POST /internal/assignments` (presence): a message has come into a conversation that has no agent.
///
/// Asked again until it is answered (DESIGN R10), so it may come twice or late; a repeat changes nothing. The answer
/// is a `RoutingAnswer`, and what it says is stored.
///
/// ```json
/// {"conversation_id":"c:user123","customer_id":"user123","seq":7,"agent_id":"support001","requested_by":"user123",
///  "requester_type":"Kehu"}
/// ```
package struct AssignmentRequest: Codable, Sendable, Equatable {
    package var conversationID: String
    package var customerID: String
    /// The message's sequence: below that of the newest decision's entry it asks for nothing any more.
    ///
    /// A message that a close overtook is asked for with the closed entry's own sequence.
    package var seq: Int
    /// The agent whom the customer named: preferred.
    package var agentID: String?
    /// Who wrote the message: an agent takes the conversation by it, whatever their load.
    package var requestedBy: String
    package var requesterType: UserType

    package init(
        conversationID: String,
        customerID: String,
        seq: Int,
        agentID: String? = nil,
        requestedBy: String,
        requesterType: UserType
    ) {
        self.conversationID = conversationID
        self.customerID = customerID
        self.seq = seq
        self.agentID = agentID
        self.requestedBy = requestedBy
        self.requesterType = requesterType
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case customerID = "customer_id"
        case seq
        case agentID = "agent_id"
        case requestedBy = "requested_by"
        case requesterType = "requester_type"
    }
}

/// `POST /internal/assignments/{assign,transfer,close}` (presence): what somebody asks for by hand.
///
/// `assign` names the agent: any agent may take a waiting conversation for themselves; else the assigned agent or an
/// administrator. `transfer` names the agent, or says `queue`; to assign an open one to another agent is a transfer.
/// `close` has `seq`. The answer is a `RoutingAnswer`; 403 `forbidden`, 404 `not_found` (never routed), 409
/// `agent_at_capacity`, `agent_unavailable`, `conflict` (closed, or another decision of the conversation's is not in
/// the log yet: ask again), 422 for an unknown agent.
///
/// ```json
/// {"conversation_id":"c:user123","agent_id":"support002","queue":false,"requested_by":"support001","is_admin":false,
///  "seq":17,"note":"speaks French"}
/// ```
package struct RoutingRequest: Codable, Sendable, Equatable {
    package var conversationID: String
    package var agentID: String?
    /// Back to the queue; then without `agent_id`.
    package var queue: Bool?
    package var requestedBy: String
    package var isAdmin: Bool
    /// The conversation's head when it was asked.
    ///
    /// A customer's message past it reopens what a `close` closes.
    package var seq: Int
    /// What the person gave as the reason, for people; at most `noteScalarsMax` Unicode scalars.
    package var note: String?

    package static let noteScalarsMax = 500

    package init(
        conversationID: String,
        agentID: String? = nil,
        queue: Bool? = nil,
        requestedBy: String,
        isAdmin: Bool,
        seq: Int,
        note: String? = nil
    ) {
        self.conversationID = conversationID
        self.agentID = agentID
        self.queue = queue
        self.requestedBy = requestedBy
        self.isAdmin = isAdmin
        self.seq = seq
        self.note = note
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case agentID = "agent_id"
        case queue
        case requestedBy = "requested_by"
        case isAdmin = "is_admin"
        case seq
        case note
    }
}

/// How a conversation stands with presence, and the decision that the log does not have yet.
///
/// ```json
/// {"conversation_id":"c:user123","state":"queued","position":3,"queue_version":1768903200041,"reason":"all_busy",
///  "agents_present":true}
/// {"conversation_id":"c:user123","state":"open","agent_id":"support001","agents_present":true,
///  "decision":{"decision_id":"r-8Yt","number":2,"conversation_id":"c:user123","kind":"assigned",
///              "agent_id":"support001","reason":"least_loaded","at":"2026-01-20T10:00:00.000Z"}}
/// ```
package struct RoutingAnswer: Codable, Sendable, Equatable {
    package var conversationID: String
    package var state: RoutingState
    /// While open.
    package var agentID: String?
    /// The place in the queue, from 1, while queued.
    package var position: Int?
    /// The version of the `WaitingQueue` in which it has that place, while queued: of two places the newer holds.
    package var queueVersion: Int?
    /// Why it is as it is: the last decision's.
    package var reason: String
    /// Whether any agent is connected, available or not.
    package var agentsPresent: Bool
    /// The conversation's pending decision: to be appended to its log.
    package var decision: RoutingDecision?

    package init(
        conversationID: String,
        state: RoutingState,
        agentID: String? = nil,
        position: Int? = nil,
        queueVersion: Int? = nil,
        reason: String,
        agentsPresent: Bool,
        decision: RoutingDecision? = nil
    ) {
        self.conversationID = conversationID
        self.state = state
        self.agentID = agentID
        self.position = position
        self.queueVersion = queueVersion
        self.reason = reason
        self.agentsPresent = agentsPresent
        self.decision = decision
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case state
        case agentID = "agent_id"
        case position
        case queueVersion = "queue_version"
        case reason
        case agentsPresent = "agents_present"
        case decision
    }
}

/// Whether a customer's conversation waits for an agent, has one, or is done with.
package enum RoutingState: String, Sendable, WireWord {
    case queued, open, closed
}

/// `POST /internal/assignments/answered` (presence): the assigned agent has written for the first time since they
/// were assigned; ends the wait for a first response.
///
/// ```json
/// {"conversation_id":"c:user123","agent_id":"support001","seq":9}
/// ```
package struct FirstResponse: Codable, Sendable, Equatable {
    package var conversationID: String
    package var agentID: String
    /// The sequence of what they wrote.
    package var seq: Int

    package init(conversationID: String, agentID: String, seq: Int) {
        self.conversationID = conversationID
        self.agentID = agentID
        self.seq = seq
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case agentID = "agent_id"
        case seq
    }
}

/// The answer of `GET /internal/assignments/{conversation_id}?limit=N` (presence): the recorded decisions, at most 200,
/// newest first.
///
/// ```json
/// {"answer":{"conversation_id":"c:user123","state":"open","agent_id":"support001","reason":"least_loaded",
///  "agents_present":true},"decisions":[]}
/// ```
package struct RoutingHistory: Codable, Sendable, Equatable {
    package var answer: RoutingAnswer
    package var decisions: [RoutingDecision]

    package init(answer: RoutingAnswer, decisions: [RoutingDecision]) {
        self.answer = answer
        self.decisions = decisions
    }
}
