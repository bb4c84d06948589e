package import Core

/// What presence decided for a conversation, and why.
///
/// ```json
/// {"decision_id":"r-8Yt","number":2,"conversation_id":"c:user123","kind":"assigned","agent_id":"support001",
///  "position":null,"reason":"least_loaded","at":"2026-01-20T10:00:00.000Z"}
/// ```
package struct RoutingDecision: Codable, Sendable, Equatable {
    /// What was decided.
    package enum Kind: String, Codable, Sendable {
        case assigned, queued, transferred, closed
    }

    /// The `client_id` of the log entry, which makes appending it idempotent.
    package var decisionID: String
    /// 1, 2, 3 … within the conversation.
    package var number: Int
    package var conversationID: String
    package var kind: Kind
    /// The agent from now on; none when queued or closed.
    package var agentID: String?
    /// The place in the queue, from 1, when queued.
    package var position: Int?
    /// A stable word such as `least_loaded`, `agent_took`, `agent_lost`.
    package var reason: String
    package var at: Timestamp

    package init(
        decisionID: String,
        number: Int,
        conversationID: String,
        kind: Kind,
        agentID: String? = nil,
        position: Int? = nil,
        reason: String,
        at: Timestamp
    ) {
        self.decisionID = decisionID
        self.number = number
        self.conversationID = conversationID
        self.kind = kind
        self.agentID = agentID
        self.position = position
        self.reason = reason
        self.at = at
    }

    private enum CodingKeys: String, CodingKey {
        case decisionID = "decision_id"
        case number
        case conversationID = "conversation_id"
        case kind
        case agentID = "agent_id"
        case position
        case reason
        case at
    }
}

/// `POST /internal/assignments/{decision}/logged` (presence): the decision's entry is in the log.
///
/// ```json
/// {"seq":17}
/// ```
package struct DecisionLogged: Codable, Sendable, Equatable {
    /// The entry's sequence in its conversation.
    package var seq: Int

    package init(seq: Int) {
        self.seq = seq
    }

    private enum CodingKeys: String, CodingKey {
        case seq
    }
}
