import Contracts
import Core
import HTTP
import ServiceKit

/// `GET /api/audit` for administrators, and `POST /internal/audit` for other services.
struct AuditRoutes: RouteGroup {
    private let sessions: SessionService

    /// Entries in one page.
    private static let pageLimits = 1...500
    private static let pageDefault = 100

    init(_ sessions: SessionService) { self.sessions = sessions }

    func register(in router: inout Router) {
        router.add(.get, "/api/audit", list)
        router.add(.post, "/internal/audit", report)
    }

    @Sendable private func list(_ request: Request) async throws -> Response {
        try await sessions.caller(of: request).requireAdmin()
        let query = request.query
        var filter = AuditFilter(
            actorID: try query.userID("actor_id"),
            userID: try query.userID("user_id"),
            conversationID: query["conversation_id"],
            from: try query.time("from"),
            to: try query.time("to")
        )
        if let word = query["event"] {
            guard let event = AuditEvent(word: word) else {
                let words = AuditEvent.all.map(\.word).joined(separator: ", ")
                throw Problem.badRequest("event: must be one of \(words)")
            }
            filter.event = event
        }
        var position: AuditPosition?
        if let cursor = query["cursor"] {
            position = AuditPosition(cursor: cursor)
            guard position != nil else { throw Problem.badRequest("cursor: must be the next_cursor of a page before") }
        }
        let limit = try query.integer("limit", in: Self.pageLimits) ?? Self.pageDefault
        let found = try await sessions.store.auditEntries(filter, before: position, limit: limit + 1)
        let page = found.prefix(limit)
        return try Response.json(
            AuditPage(
                entries: page.map { AuditDocument($0.entry, number: $0.position.number) },
                nextCursor: found.count > limit ? page.last?.position.cursor : nil
            )
        )
    }

    @Sendable private func report(_ request: Request) async throws -> Response {
        let body = try await request.json(AuditReport.self, upTo: 1 << 20)
        guard body.entries.count <= AuditReport.entriesMax else {
            throw AuthError.invalidField("entries", rule: "must have at most \(AuditReport.entriesMax) items")
        }
        // The service that reports has logged them.
        try await sessions.store.append(body.entries.map(AuditEntry.init))
        return Response(.noContent)
    }
}

/// One entry on the wire; members that do not apply are left out.
private struct AuditDocument: Encodable {
    let number: Int
    let at: Timestamp
    let event: String
    let actorID: String?
    let userID: String?
    let conversationID: String?
    let remoteAddress: String?
    let requestID: String?
    let details: [String: String]?

    init(_ entry: AuditEntry, number: Int) {
        self.number = number
        at = entry.at
        event = entry.event.word
        actorID = entry.actor.userID
        userID = entry.userID
        conversationID = entry.conversationID
        remoteAddress = entry.actor.remoteAddress
        requestID = entry.actor.requestID
        details = entry.details.isEmpty ? nil : entry.details
    }

    private enum CodingKeys: String, CodingKey {
        case number, at, event, details
        case actorID = "actor_id"
        case userID = "user_id"
        case conversationID = "conversation_id"
        case remoteAddress = "remote_address"
        case requestID = "request_id"
    }
}

/// `GET /api/audit`, the newest first.
private struct AuditPage: Encodable {
    let entries: [AuditDocument]
    let nextCursor: String?

    private enum CodingKeys: String, CodingKey {
        case entries
        case nextCursor = "next_cursor"
    }
}
