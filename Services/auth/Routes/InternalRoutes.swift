import Contracts
import Core
import HTTP
import ServiceKit

/// What other services ask auth (DESIGN §5); `InternalGuard` stands before all of `/internal/`.
struct InternalRoutes: RouteGroup {
    private let sessions: SessionService

    /// The largest body of a request to verify a session, in bytes.
    private static let verifyBytesMax = 4096

    init(_ sessions: SessionService) { self.sessions = sessions }

    func register(in router: inout Router) {
        router.add(.post, "/internal/sessions/verify", immediate: verifyFromMemory, verify)
        router.add(.post, "/internal/sessions/check", check)
        router.add(.get, "/internal/revocations", revocations)
        router.add(.post, "/internal/users/lookup", lookUp)
    }

    @Sendable private func verify(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionVerificationRequest.self, upTo: Self.verifyBytesMax)
        return Self.answer(try await sessions.verify(body.sessionID))
    }

    /// A request as our client writes it, for a session that was verified lately.
    @Sendable private func verifyFromMemory(_ request: Request) -> Response? {
        guard request.isJSON, let text = request.body.whole, text.count <= Self.verifyBytesMax,
            let body = SessionVerificationRequest(plainText: text),
            let verified = sessions.verifyFromMemory(body.sessionID)
        else { return nil }
        return Self.answer(verified)
    }

    private static func answer(_ verified: VerifiedSession?) -> Response {
        guard let verified else { return answer(SessionVerification(active: false)) }
        return answer(
            SessionVerification(
                active: true,
                userID: verified.session.userID,
                userName: verified.userName,
                userType: verified.userType,
                isAdmin: verified.isAdmin,
                expiresAt: verified.session.expiresAt
            )
        )
    }

    private static func answer(_ verification: SessionVerification) -> Response {
        Response(contentType: "application/json", Array(verification.jsonText.utf8))
    }

    @Sendable private func check(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionCheckRequest.self, upTo: 131_072)
        guard body.sessionHashes.count <= SessionCheckRequest.sessionsMax else {
            let rule = "must have at most \(SessionCheckRequest.sessionsMax) items"
            throw AuthError.invalidField("session_hashes", rule: rule)
        }
        var alive: [SessionCheck.Alive] = []
        for wire in body.sessionHashes {
            guard let hash = SessionHash(wire: wire), let verified = try await sessions.verify(hash) else { continue }
            alive.append(.init(sessionHash: wire, expiresAt: verified.session.expiresAt))
        }
        return try Response.json(SessionCheck(alive: alive))
    }

    @Sendable private func revocations(_ request: Request) async throws -> Response {
        let query = request.query
        let after = try query.integer("after", in: 0...Int.max) ?? 0
        let wait = try query.integer("wait", in: 0...30) ?? 0
        return try Response.json(
            await sessions.feed.page(
                epoch: query["epoch"],
                after: after,
                waitMilliseconds: min(Int64(wait) * 1000, RevocationFeed.waitMillisecondsMax)
            )
        )
    }

    @Sendable private func lookUp(_ request: Request) async throws -> Response {
        let body = try await request.json(UserLookupRequest.self, upTo: 65_536)
        guard body.userIDs.count <= UserLookupRequest.userIDsMax else {
            throw AuthError.invalidField("user_ids", rule: "must have at most \(UserLookupRequest.userIDsMax) items")
        }
        let accounts = try await sessions.store.accounts(body.userIDs.filter(Identifier.isUserID))
        return try Response.json(
            UserLookup(
                users: accounts.map { account in
                    UserSummary(
                        userID: account.userID,
                        userName: account.userName,
                        userType: account.userType,
                        disabled: account.isDisabled,
                        capacity: account.capacity
                    )
                }
            )
        )
    }
}
