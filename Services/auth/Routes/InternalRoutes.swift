import Contracts
import Core
import HTTP
import ServiceKit

/// What other services ask auth (DESIGN §5); `InternalGuard` stands before all of `/internal/`.
struct InternalRoutes: RouteGroup {
    private let sessions: SessionService

    init(_ sessions: SessionService) { self.sessions = sessions }

    func register(in router: inout Router) {
        router.add(.post, "/internal/sessions/verify", verify)
        router.add(.post, "/internal/sessions/check", check)
        router.add(.get, "/internal/revocations", revocations)
        router.add(.post, "/internal/users/lookup", lookUp)
    }

    @Sendable private func verify(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionVerificationRequest.self, upTo: 4096)
        guard let verified = try await sessions.verify(body.sessionID) else {
            return try Response.json(SessionVerification(active: false))
        }
        return try Response.json(
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
