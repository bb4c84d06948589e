/// `POST /internal/assignments` (presence): this conversation needs an agent.
///
/// The answer is a `RoutingDecision`.
///
/// ```json
/// {"conversation_id":"c:user123","customer_id":"user123","agent_id":"support001","requested_by":"user123"}
/// ```
package struct AssignmentRequest: Codable, Sendable, Equatable {
    package var conversationID: String
    package var customerID: String
    /// The agent named: preferred if a customer asks, taken if the agent does.
    package var agentID: String?
    /// The user who asks.
    package var requestedBy: String
    package var reason: String?

    package init(
        conversationID: String,
        customerID: String,
        agentID: String? = nil,
        requestedBy: String,
        reason: String? = nil
    ) {
        self.conversationID = conversationID
        self.customerID = customerID
        self.agentID = agentID
        self.requestedBy = requestedBy
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case customerID = "customer_id"
        case agentID = "agent_id"
        case requestedBy = "requested_by"
        case reason
    }
}

/// `POST /internal/assignments/transfer` (presence): to another agent, or back to the queue.
///
/// The answer is a `RoutingDecision`.
///
/// ```json
/// {"conversation_id":"c:user123","queue":false,"agent_id":"support002","requested_by":"support001"}
/// ```
package struct TransferRequest: Codable, Sendable, Equatable {
    package var conversationID: String
    package var agentID: String?
    /// Back to the queue; then without `agent_id`.
    package var queue: Bool
    package var requestedBy: String
    package var reason: String?

    package init(
        conversationID: String,
        agentID: String? = nil,
        queue: Bool,
        requestedBy: String,
        reason: String? = nil
    ) {
        self.conversationID = conversationID
        self.agentID = agentID
        self.queue = queue
        self.requestedBy = requestedBy
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case agentID = "agent_id"
        case queue
        case requestedBy = "requested_by"
        case reason
    }
}

/// `POST /internal/assignments/close` (presence): the conversation is done.
///
/// The answer is a `RoutingDecision`.
///
/// ```json
/// {"conversation_id":"c:user123","requested_by":"support001","reason":"solved"}
/// ```
package struct CloseRequest: Codable, Sendable, Equatable {
    package var conversationID: String
    package var requestedBy: String
    package var reason: String?

    package init(conversationID: String, requestedBy: String, reason: String? = nil) {
        self.conversationID = conversationID
        self.requestedBy = requestedBy
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case requestedBy = "requested_by"
        case reason
    }
}
