import Core
import Crypto
import HTTP
import ServiceKit

/// What a session is begun with (`/auth/login`, `/auth/guest`, `/auth/exchange`) and ended (`/auth/logout`), and what
/// becomes of it in between (`/auth/session`, `/auth/session/refresh`); the same under `/api/auth`.
struct SessionRoutes: RouteGroup {
    private let sessions: SessionService
    private let passwords: PasswordLogin
    private let guests: GuestLogin
    private let exchange: ExchangeLogin
    private let logins: CounterFamily
    private let now: @Sendable () -> Timestamp

    /// The largest request body, in bytes.
    private static let bodyBytesMax = 16_384

    init(
        _ sessions: SessionService,
        passwords: PasswordLogin,
        guests: GuestLogin,
        exchange: ExchangeLogin,
        metrics: Metrics,
        now: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.sessions = sessions
        self.passwords = passwords
        self.guests = guests
        self.exchange = exchange
        logins = metrics.counters("auth_logins_total", help: "Login attempts by outcome.", labels: ["outcome"])
        self.now = now
    }

    func register(in router: inout Router) {
        for prefix in ["/auth", "/api/auth"] {
            router.add(.post, prefix + "/login", logIn)
            router.add(.post, prefix + "/guest", logInGuest)
            router.add(.post, prefix + "/exchange", logInByToken)
            router.add(.post, prefix + "/logout", logOut)
            router.add(.get, prefix + "/session", showSession)
            router.add(.post, prefix + "/session/refresh", refresh)
        }
    }

    // MARK: - Begin

    @Sendable private func logIn(_ request: Request) async throws -> Response {
        let body = try await request.json(LoginRequest.self, upTo: Self.bodyBytesMax)
        var errors: [Problem.FieldError] = []
        if !(1...Identifier.userIDLengthMax).contains(body.username.utf8.count) {
            errors.append(.init("username", "must have 1 to \(Identifier.userIDLengthMax) bytes"))
        }
        if body.password.isEmpty { errors.append(.init("password", "must not be empty")) }
        let userType = body.userType.flatMap(UserType.init(wire:))
        if body.userType != nil, userType == nil { errors.append(.init("user_type", "must be Kehu or Kefu")) }
        guard errors.isEmpty else { throw Problem.invalidFields(errors) }
        let credentials = PasswordLogin.Credentials(
            username: body.username,
            password: body.password,
            userType: userType,
            origin: SessionOrigin(request),
            requestID: request.id
        )
        return try await counted(request) { try await passwords.logIn(credentials) }
    }

    @Sendable private func logInGuest(_ request: Request) async throws -> Response {
        var userName: String?
        if request.body.announcedLength != 0 {
            var members = try await request.jsonMembers(upTo: Self.bodyBytesMax)
            userName = members.userName("user_name")
            try members.finish()
        }
        return try await counted(request) {
            try await guests.logIn(userName: userName, from: SessionOrigin(request), requestID: request.id)
        }
    }

    @Sendable private func logInByToken(_ request: Request) async throws -> Response {
        var members = try await request.jsonMembers(upTo: Self.bodyBytesMax)
        let token = members.string("token", isRequired: true)
        try members.finish()
        return try await counted(request) {
            try await exchange.logIn(token ?? "", from: SessionOrigin(request), requestID: request.id)
        }
    }

    private func counted(_ request: Request, _ begin: () async throws -> IssuedSession) async throws -> Response {
        do {
            let issued = try await begin()
            logins.with("success").increment()
            return try answer(issued, request)
        } catch {
            logins.with(Self.outcome(of: error)).increment()
            throw error
        }
    }

    private static func outcome(of error: any Error) -> String {
        switch error {
        case AuthError.invalidCredentials, AuthError.invalidToken, AuthError.accountUnusable: "refused"
        case AuthError.tooManyAttempts, AuthError.tooManyGuests: "limited"
        case AuthError.guestsDisabled, AuthError.exchangeDisabled: "disabled"
        case PasswordHasherError.busy: "busy"
        default: "failed"
        }
    }

    // MARK: - After that

    @Sendable private func logOut(_ request: Request) async throws -> Response {
        var named: String?
        if request.body.announcedLength != 0 {
            named = try await request.json(LogoutRequest.self, upTo: Self.bodyBytesMax).sessionID
        }
        guard let id = named ?? SessionCredential.find(in: request) else {
            throw AuthError.invalidField("session_id", rule: "is required, here or in X-Session-Id")
        }
        try await sessions.logOut(id, by: Actor(request))
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
