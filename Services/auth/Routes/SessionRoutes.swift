import Core
import Crypto
import HTTP
import ServiceKit

/// `/auth/login`, `/auth/logout`, `/auth/session`, `/auth/session/refresh`; the same under `/api/auth`.
struct SessionRoutes: RouteGroup {
    private let sessions: SessionService
    private let logins: CounterFamily
    private let now: @Sendable () -> Timestamp

    /// The largest request body, in bytes.
    private static let bodyBytesMax = 16_384

    init(
        _ sessions: SessionService,
        metrics: Metrics,
        now: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.sessions = sessions
        logins = metrics.counters("auth_logins_total", help: "Login attempts by outcome.", labels: ["outcome"])
        self.now = now
    }

    func register(in router: inout Router) {
        for prefix in ["/auth", "/api/auth"] {
            router.add(.post, prefix + "/login", logIn)
            router.add(.post, prefix + "/logout", logOut)
            router.add(.get, prefix + "/session", showSession)
            router.add(.post, prefix + "/session/refresh", refresh)
        }
    }

    @Sendable private func logIn(_ request: Request) async throws -> Response {
        let body = try await request.json(LoginRequest.self, upTo: Self.bodyBytesMax)
        guard (1...Identifier.userIDLengthMax).contains(body.username.utf8.count) else {
            throw AuthError.invalidField("username", rule: "must have 1 to \(Identifier.userIDLengthMax) bytes")
        }
        guard !body.password.isEmpty else { throw AuthError.invalidField("password", rule: "must not be empty") }
        let userType = body.userType.flatMap(UserType.init(wire:))
        guard body.userType == nil || userType != nil else {
            throw AuthError.invalidField("user_type", rule: "must be Kehu or Kefu")
        }
        let credentials = SessionService.Credentials(
            username: body.username,
            password: body.password,
            userType: userType,
            address: request.remoteAddress,
            requestID: request.id
        )
        do {
            let issued = try await sessions.logIn(credentials)
            logins.with("success").increment()
            return try answer(issued, request)
        } catch {
            logins.with(Self.outcome(of: error)).increment()
            throw error
        }
    }

    private static func outcome(of error: any Error) -> String {
        switch error {
        case AuthError.invalidCredentials: "refused"
        case AuthError.tooManyAttempts: "limited"
        case PasswordHasherError.busy: "busy"
        default: "failed"
        }
    }

    @Sendable private func logOut(_ request: Request) async throws -> Response {
        var named: String?
        if request.body.announcedLength != 0 {
            named = try await request.json(LogoutRequest.self, upTo: Self.bodyBytesMax).sessionID
        }
        guard let id = named ?? SessionCredential.find(in: request) else {
            throw AuthError.invalidField("session_id", rule: "is required, here or in X-Session-Id")
        }
        try await sessions.logOut(id, requestID: request.id)
        var response = try Response.json(LogoutDocument())
        response.headers["Set-Cookie"] = SessionCookie.removal(isSecure: request.isSecure)
        response.headers["Cache-Control"] = "no-store"
        return response
    }

    @Sendable private func showSession(_ request: Request) async throws -> Response {
        guard let id = SessionCredential.find(in: request) else { throw AuthError.sessionMissing }
        guard let verified = try await sessions.verify(id) else { throw AuthError.sessionEnded }
        var response = try Response.json(SessionDocument(verified))
        response.headers["Cache-Control"] = "no-store"
        return response
    }

    @Sendable private func refresh(_ request: Request) async throws -> Response {
        guard let id = SessionCredential.find(in: request) else { throw AuthError.sessionMissing }
        return try answer(try await sessions.refresh(id), request)
    }

    private func answer(_ issued: IssuedSession, _ request: Request) throws -> Response {
        var response = try Response.json(LoginDocument(issued))
        response.headers["Set-Cookie"] = SessionCookie.set(
            issued.id,
            endsAt: issued.verified.session.endsAt,
            now: now(),
            isSecure: request.isSecure
        )
        response.headers["Cache-Control"] = "no-store"
        return response
    }
}
