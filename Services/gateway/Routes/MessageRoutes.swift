import Core
import HTTP
import ServiceKit

/// `GET /api/messages`: pages of a conversation's entries, both ways.
struct MessageRoutes: RouteGroup {
    private static let bytesMax = 4 << 20

    let log: any ConversationLog
    let sessions: SessionVerifier
    let directory: UserDirectory
    let audit: AuditLink

    func register(in router: inout Router) {
        router.add(.get, "/api/messages") { request in try await page(request) }
    }

    private func page(_ request: Request) async throws -> Response {
        let session = try await sessions.require(request)
        let identity = Identity(userID: session.userID, userName: session.userName, userType: session.userType)
        let query = try Query(encoded: request.head.rawQuery)
        let limit = try query.integer("limit", in: HistoryFrame.limits) ?? HistoryFrame.limitDefault
        let before = try query.integer("before", in: HistoryFrame.befores)
        let after = try query.integer("after", in: HistoryFrame.afters)
        if before != nil, after != nil { throw Problem.badRequest("before, after: give one of them") }
        let conversationID = try await conversation(query, identity)
        let range = after.map(EntryRange.after) ?? .before(before)
        audit.read(conversationID, by: identity, from: request.remoteAddress, requestID: request.id)
        let page = try await log.page(conversationID, range, limit: limit, bytesMax: Self.bytesMax)
        var bytes = ByteQueue()
        bytes.append("{")
        EntryPageText.write(conversationID, range, page, to: &bytes)
        return Response(contentType: "application/json", Array(bytes.waiting))
    }

    /// The conversation that the query names, if the caller may read it; to others it does not exist.
    private func conversation(_ query: Query, _ identity: Identity) async throws -> String {
        let missing = Problem.notFound("conversation: no such conversation")
        switch (query["with"], query["conversation_id"]) {
        case (nil, nil): throw Problem.badRequest("with or conversation_id: one is required")
        case (.some, .some): throw Problem.badRequest("with, conversation_id: give one of them")
        case (nil, let name?):
            guard ConversationName.isReadable(name, by: identity) else { throw missing }
            return name
        case (let other?, nil):
            guard Identifier.isUserID(other), other != identity.userID else {
                throw Problem.badRequest("with: must be another user's id")
            }
            do throws(FrameProblem) {
                return try ConversationName.between(identity, other, try await directory.type(of: other, for: identity))
            } catch {
                throw error.code == .unavailable ? Problem.unavailable(error.message) : missing
            }
        }
    }
}

extension ConversationLog {
    /// `check` for tasks.
    func check() async throws {
        try await withCheckedThrowingContinuation { continuation in
            check { continuation.resume(with: $0) }
        }
    }

    /// `read` for tasks.
    func page(_ conversationID: String, _ range: EntryRange, limit: Int, bytesMax: Int) async throws -> EntryPage {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                read(conversationID, range, limit: limit, bytesMax: bytesMax) { continuation.resume(with: $0) }
            }
        } catch {
            throw Problem.unavailable("messages: the log cannot be read now")
        }
    }
}
