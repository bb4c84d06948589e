import Contracts
import Core
import HTTP
import ServiceKit

/// `/api/conversations`: the conversations that a user may see, and what agents decide about them.
struct ConversationRoutes: RouteGroup {
    /// The most decisions that are explained.
    static let decisionsMax = 200
    /// The largest body, in bytes.
    static let bodyBytesMax = 8192

    let log: any ConversationLog
    let outbox: OutboxLink
    let sessions: SessionVerifier

    func register(in router: inout Router) {
        router.add(.get, "/api/conversations") { try await list($0) }
        router.add(.get, "/api/conversations/{conversation_id}") { try await one($0) }
        router.add(.get, "/api/conversations/{conversation_id}/routing") { try await routing($0) }
        router.add(.post, "/api/conversations/{conversation_id}/assign") { try await decide(.assign, $0) }
        router.add(.post, "/api/conversations/{conversation_id}/transfer") { try await decide(.transfer, $0) }
        router.add(.post, "/api/conversations/{conversation_id}/close") { try await decide(.close, $0) }
    }

    // MARK: - Reading

    private func list(_ request: Request) async throws -> Response {
        let session = try await sessions.require(request)
        let query = try Query(encoded: request.head.rawQuery)
        var scope = ConversationQuery.Scope.own
        if let word = query["scope"] {
            guard let known = ConversationQuery.Scope(word: word) else {
                throw Problem.badRequest("scope: must be own or all")
            }
            scope = known
        }
        guard scope == .own || session.userType == .agent else { throw Problem.forbidden("scope: all is for agents") }
        var state: RoutingState?
        if let word = query["state"] {
            state = RoutingState(word: word)
            guard state != nil else { throw Problem.badRequest("state: must be queued, open or closed") }
        }
        let question = ConversationQuery(
            user: session.userID,
            userType: session.userType,
            scope: scope,
            state: state,
            cursor: try query.integer("cursor", in: 0...Int.max).map { Int64($0) },
            limit: try query.integer("limit", in: HistoryFrame.limits) ?? HistoryFrame.limitDefault
        )
        let page = try await read { log.conversations(question, $0) }
        var text = #"{"conversations":["# + page.conversations.map(\.json).joined(separator: ",") + "]"
        if let next = page.next { text += #","next_cursor":"\#(next)""# }
        return Response(contentType: "application/json", Array((text + "}").utf8))
    }

    private func one(_ request: Request) async throws -> Response {
        let session = try await sessions.require(request)
        let summary = try await conversation(of: request, for: session)
        return Response(contentType: "application/json", Array(summary.json.utf8))
    }

    private func routing(_ request: Request) async throws -> Response {
        let session = try await sessions.require(request)
        let summary = try await conversation(of: request, for: session)
        guard session.userType == .agent, summary.customerID != nil else {
            throw Problem.forbidden("routing is for agents, and for customers' conversations")
        }
        let history = try await outbox.history(
            of: summary.conversationID,
            limit: try request.query.integer("limit", in: 1...Self.decisionsMax) ?? Self.decisionsMax,
            requestID: request.id
        )
        return try Response.json(RoutingDocument(history))
    }

    // MARK: - Deciding

    private func decide(_ operation: OutboxLink.Operation, _ request: Request) async throws -> Response {
        let session = try await sessions.require(request)
        let summary = try await conversation(of: request, for: session)
        guard session.userType == .agent else { throw Problem.forbidden("this is for agents") }
        guard summary.customerID != nil else {
            throw Problem.forbidden("conversation_id: agents' own conversations have no routing")
        }
        let body = try await request.json(DecisionBody.self, upTo: Self.bodyBytesMax)
        try body.check(operation)
        let wanted = RoutingRequest(
            conversationID: summary.conversationID,
            agentID: operation == .assign ? body.agentID ?? session.userID : body.agentID,
            queue: operation == .transfer ? body.queue ?? false : nil,
            requestedBy: session.userID,
            isAdmin: session.isAdmin,
            seq: summary.head,
            note: body.reason
        )
        try await outbox.decide(operation, wanted, requestID: request.id)
        let after = try await conversation(of: request, for: session)
        return Response(contentType: "application/json", Array(after.json.utf8))
    }

    /// The conversation that the path names, if the caller may see it; to others it does not exist.
    private func conversation(of request: Request, for session: Session) async throws -> ConversationSummary {
        let name = request.parameters["conversation_id"] ?? ""
        let identity = Identity(userID: session.userID, userName: session.userName, userType: session.userType)
        guard ConversationName.isReadable(name, by: identity),
            let summary = try await read({ log.conversation(name, for: session.userID, $0) })
        else { throw Problem(404, .conversationUnknown, ConversationName.unknown.message) }
        return summary
    }

    private func read<Value: Sendable>(
        _ ask: (@escaping @Sendable (Result<Value, any Error>) -> Void) -> Void
    ) async throws -> Value {
        do throws(FrameProblem) {
            return try await log.answer(ask)
        } catch {
            throw Problem.unavailable(error.message)
        }
    }
}

/// The body of assign, transfer and close.
private struct DecisionBody: Decodable {
    let agentID: String?
    let queue: Bool?
    let reason: String?

    private enum CodingKeys: String, CodingKey {
        case agentID = "agent_id"
        case queue
        case reason
    }

    func check(_ operation: OutboxLink.Operation) throws(Problem) {
        if let agentID {
            guard Identifier.isUserID(agentID) else { throw .invalidField("agent_id", "must be a user id") }
        }
        if let reason {
            guard reason.unicodeScalars.count <= RoutingRequest.noteScalarsMax else {
                throw .invalidField("reason", "at most \(RoutingRequest.noteScalarsMax) characters")
            }
        }
        switch operation {
        case .assign: break
        case .close:
            guard agentID == nil else { throw .invalidField("agent_id", "is not for closing") }
        case .transfer:
            guard (agentID != nil) != (queue == true) else {
                throw .invalidField("agent_id", "give either agent_id or queue: true")
            }
        }
    }
}

/// The answer of `GET /api/conversations/{id}/routing`: newest decision first.
private struct RoutingDocument: Encodable {
    let conversationID: String
    let state: RoutingState
    let agentID: String?
    let position: Int?
    let reason: String
    let decisions: [RoutingDecision]

    init(_ history: RoutingHistory) {
        conversationID = history.answer.conversationID
        state = history.answer.state
        agentID = history.answer.agentID
        position = history.answer.position
        reason = history.answer.reason
        decisions = history.decisions
    }

    private enum CodingKeys: String, CodingKey {
        case conversationID = "conversation_id"
        case state
        case agentID = "agent_id"
        case position
        case reason
        case decisions
    }
}

extension ConversationSummary {
    /// The document of `GET /api/conversations`.
    fileprivate var json: String {
        func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "null" }
        // Ids need no escaping, and the message is JSON already.
        return #"{"conversation_id":"\#(conversationID)","customer_id":\#(quoted(customerID))"#
            + #","agent_id":\#(quoted(agentID)),"state":"\#(state.rawValue)","last_message":\#(lastMessage ?? "null")"#
            + #","head":\#(head),"unread":\#(unread),"updated_at":"\#(updatedAt.wire)"}"#
    }
}
