package import Core

/// What presence decided for a conversation, and why.
///
/// All but `queued` become an entry of the conversation's log. Until a gateway has reported that entry the decision is
/// *pending*, and the only one of its conversation (DESIGN R9).
///
/// ```json
/// {"decision_id":"r-8Yt","number":2,"conversation_id":"c:user123","kind":"assigned","agent_id":"support001",
///  "reason":"least_loaded","at":"2026-01-20T10:00:00.000Z"}
/// ```
package struct RoutingDecision: Codable, Sendable, Equatable {
    /// What was decided.
    package enum Kind: String, Codable, Sendable {
        /// The conversation has no entry of it: a place in the queue is soft news.
        case queued
        case assigned
        /// To another agent, or without `agent_id` back to the queue.
        case transferred
        case closed
    }

    /// The `client_id` of the log entry, which makes appending it idempotent.
    package var decisionID: String
    /// 1, 2, 3 … within the conversation.
    package var number: Int
    package var conversationID: String
    package var kind: Kind
    /// The agent from now on; none when queued or closed.
    package var agentID: String?
    /// The agent until now, when transferred or closed.
    package var formerAgentID: String?
    /// The place in the queue, from 1, when queued.
    package var position: Int?
    /// A stable word such as `least_loaded`, `agent_took`, `agent_lost`.
    package var reason: String
    /// Who asked for it, when somebody did.
    package var requestedBy: String?
    /// What they gave as the reason.
    package var note: String?
    /// When closed: the conversation's head as it was known to whoever asked.
    package var seq: Int?
    package var at: Timestamp

    package init(
        decisionID: String,
        number: Int,
        conversationID: String,
        kind: Kind,
        agentID: String? = nil,
        formerAgentID: String? = nil,
        position: Int? = nil,
        reason: String,
        requestedBy: String? = nil,
        note: String? = nil,
        seq: Int? = nil,
        at: Timestamp
    ) {
        self.decisionID = decisionID
        self.number = number
        self.conversationID = conversationID
        self.kind = kind
        self.agentID = agentID
        self.formerAgentID = formerAgentID
        self.position = position
        self.reason = reason
        self.requestedBy = requestedBy
        self.note = note
        self.seq = seq
        self.at = at
    }

    private enum CodingKeys: String, CodingKey {
        case decisionID = "decision_id"
        case number
        case conversationID = "conversation_id"
        case kind
        case agentID = "agent_id"
        case formerAgentID = "former_agent_id"
        case position
        case reason
        case requestedBy = "requested_by"
        case note
        case seq
        case at
    }
}

/// `POST /internal/assignments/{decision}/logged` (presence): the decision's entry is in the log.
///
/// Saying so again changes nothing. The answer is an empty 204.
///
/// ```json
/// {"conversation_id":"c:user123","seq":17}
/// ```
package struct DecisionLogged: Codable, Sendable, Equatable {
    package var conversationID: String
    /// The entry's sequence in its conversation.
    package var seq: Int

    package init(conversationID: String, seq: Int) {
        self.conversationID = conversationID
        self.seq = seq
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case seq
    }
}
