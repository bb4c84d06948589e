import Contracts
import Core
import HTTP
import ServiceKit

/// What gateways ask of routing (DESIGN §5); mounted behind the internal token.
struct AssignmentRoutes: RouteGroup {
    /// The largest body: a request with a long note, every character escaped.
    static let bodyBytesMax = 32_768
    /// What every customer's conversation is called before its customer's id.
    static let conversationPrefix = "c:"

    /// The account of a user, as a list of at most one.
    typealias LookUp = @Sendable (_ userID: String, _ request: Request) async throws -> [UserSummary]

    let routing: Routing
    let lookUp: LookUp

    func register(in router: inout Router) {
        router.add(.post, "/internal/assignments") { try await need($0) }
        router.add(.post, "/internal/assignments/assign") { try await assign($0) }
        router.add(.post, "/internal/assignments/transfer") { try await transfer($0) }
        router.add(.post, "/internal/assignments/close") { try await close($0) }
        router.add(.post, "/internal/assignments/answered") { try await answered($0) }
        router.add(.post, "/internal/assignments/{decision_id}/logged") { try await logged($0) }
        router.add(.get, "/internal/assignments/{conversation_id}") { try await history($0) }
    }

    /// `POST /internal/assignments`.
    private func need(_ request: Request) async throws -> Response {
        let body = try await request.json(AssignmentRequest.self, upTo: Self.bodyBytesMax)
        try Self.check(body.conversationID)
        try Self.check(body.customerID, "customer_id")
        guard body.conversationID == Self.conversationPrefix + body.customerID else {
            throw Problem.invalidField("customer_id", "the conversation's")
        }
        try Self.check(body.requestedBy, "requested_by")
        guard body.requesterType == .agent || body.requestedBy == body.customerID else {
            throw Problem.invalidField("requested_by", "an agent, or the conversation's customer")
        }
        if let agentID = body.agentID { try Self.check(agentID, "agent_id") }
        try Self.check(body.seq, from: 1)
        return try await answer(.need(body))
    }

    /// `POST /internal/assignments/assign`.
    private func assign(_ request: Request) async throws -> Response {
        let body = try await routingRequest(request)
        guard let agentID = body.agentID else { throw Problem.invalidField("agent_id", "is required") }
        guard body.queue != true else { throw Problem.invalidField("queue", "only to transfer") }
        return try await answer(.assign(body), to: agentID, request)
    }

    /// `POST /internal/assignments/transfer`.
    private func transfer(_ request: Request) async throws -> Response {
        let body = try await routingRequest(request)
        guard let agentID = body.agentID else {
            guard body.queue == true else { throw Problem.invalidField("agent_id", "is required without queue") }
            return try await answer(.transfer(body))
        }
        guard body.queue != true else { throw Problem.invalidField("queue", "only without agent_id") }
        return try await answer(.transfer(body), to: agentID, request)
    }

    /// `POST /internal/assignments/close`.
    private func close(_ request: Request) async throws -> Response {
        try await answer(.close(try await routingRequest(request)))
    }

    /// `POST /internal/assignments/answered`.
    private func answered(_ request: Request) async throws -> Response {
        let body = try await request.json(FirstResponse.self, upTo: Self.bodyBytesMax)
        try Self.check(body.conversationID)
        try Self.check(body.agentID, "agent_id")
        try Self.check(body.seq, from: 1)
        _ = try await routing.inbox.perform(.answered(body))
        return Response(.noContent)
    }

    /// `POST /internal/assignments/{decision}/logged`.
    private func logged(_ request: Request) async throws -> Response {
        let decisionID = request.parameters["decision_id"] ?? ""
        guard Identifier.isUserID(decisionID) else { throw Problem.badRequest("decision_id: a decision's id") }
        let body = try await request.json(DecisionLogged.self, upTo: Self.bodyBytesMax)
        try Self.check(body.conversationID)
        try Self.check(body.seq, from: 1)
        _ = try await routing.inbox.perform(.logged(decisionID: decisionID, body))
        return Response(.noContent)
    }

    /// `GET /internal/assignments/{conversation_id}`.
    private func history(_ request: Request) async throws -> Response {
        let conversationID = request.parameters["conversation_id"] ?? ""
        guard Self.isConversation(conversationID) else { throw PresenceError.unknownConversation }
        let limit = try request.query.integer("limit", in: 1...RoutingRetention.decisionsMax)
        return try Response.json(
            try await routing.history(of: conversationID, limit: limit ?? RoutingRetention.decisionsMax)
        )
    }

    // MARK: -

    private func answer(_ command: RoutingCommand) async throws -> Response {
        try Response.json(try await routing.inbox.perform(command))
    }

    /// The same for a command that names an agent: one who cannot be given it may be nobody at all.
    private func answer(_ command: RoutingCommand, to agentID: String, _ request: Request) async throws -> Response {
        do {
            return try await answer(command)
        } catch PresenceError.agentUnavailable {
            // When auth does not answer either, it is true all the same that they are not there.
            guard let accounts = try? await lookUp(agentID, request) else { throw PresenceError.agentUnavailable }
            let isAgent = accounts.contains { $0.userID == agentID && $0.userType == .agent && !$0.disabled }
            throw isAgent ? PresenceError.agentUnavailable : .unknownAgent
        }
    }

    private func routingRequest(_ request: Request) async throws -> RoutingRequest {
        let body = try await request.json(RoutingRequest.self, upTo: Self.bodyBytesMax)
        try Self.check(body.conversationID)
        try Self.check(body.requestedBy, "requested_by")
        if let agentID = body.agentID { try Self.check(agentID, "agent_id") }
        try Self.check(body.seq, from: 0)
        guard (body.note?.unicodeScalars.count ?? 0) <= RoutingRequest.noteScalarsMax else {
            throw Problem.invalidField("note", "at most \(RoutingRequest.noteScalarsMax) characters")
        }
        return body
    }

    private static func isConversation(_ text: String) -> Bool {
        text.hasPrefix(conversationPrefix) && Identifier.isUserID(text.dropFirst(conversationPrefix.count))
    }

    private static func check(_ conversationID: String) throws(Problem) {
        guard isConversation(conversationID) else {
            throw .invalidField("conversation_id", "\(conversationPrefix) and a customer's id")
        }
    }

    private static func check(_ userID: String, _ field: String) throws(Problem) {
        guard Identifier.isUserID(userID) else { throw .invalidField(field, "1 to 64 of A-Z a-z 0-9 _ . -") }
    }

    private static func check(_ seq: Int, from least: Int) throws(Problem) {
        guard (least..<InternalRoutes.numberMax).contains(seq) else {
            throw .invalidField("seq", "from \(least) on")
        }
    }
}
