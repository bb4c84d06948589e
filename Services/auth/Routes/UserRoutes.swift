import Core
import HTTP
import ServiceKit

/// `/api/users`: accounts, for administrators; one's own, for everybody, also as `me`.
struct UserRoutes: RouteGroup {
    private let accounts: AccountService
    private let rules: PasswordRules
    /// Of changes that users make of their own accounts; administrators' have no limit.
    private let changes: UserRate

    /// The largest request body, in bytes.
    private static let bodyBytesMax = 16_384
    /// Accounts in one page.
    private static let pageLimits = 1...200
    private static let pageDefault = 50

    init(_ accounts: AccountService, rules: PasswordRules) {
        self.accounts = accounts
        self.rules = rules
        changes = UserRate(clock: accounts.sessions.clock.monotonicMilliseconds)
    }

    func register(in router: inout Router) {
        router.add(.get, "/api/users", list)
        router.add(.post, "/api/users", create)
        router.add(.get, "/api/users/{id}", show)
        router.add(.patch, "/api/users/{id}", update)
        router.add(.delete, "/api/users/{id}", delete)
        router.add(.put, "/api/users/{id}/password", setPassword)
        router.add(.get, "/api/users/{id}/sessions", listSessions)
        router.add(.delete, "/api/users/{id}/sessions", endSessions)
        router.add(.delete, "/api/users/{id}/sessions/{session}", endSession)
    }

    // MARK: - Accounts

    @Sendable private func list(_ request: Request) async throws -> Response {
        try await accounts.sessions.caller(of: request).requireAdmin()
        let query = request.query
        let limit = try query.integer("limit", in: Self.pageLimits) ?? Self.pageDefault
        let filter = AccountFilter(
            userType: try query.userType(),
            isAdmin: try query.boolean("is_admin"),
            isDisabled: try query.boolean("disabled")
        )
        let cursor = try query.userID("cursor")
        // One more shows whether there is another page.
        let found = try await accounts.sessions.store.accounts(filter, after: cursor, limit: limit + 1)
        let page = found.prefix(limit)
        return try Response.json(
            UserPage(
                users: page.map(UserDocument.init),
                nextCursor: found.count > limit ? page.last?.userID : nil
            )
        )
    }

    @Sendable private func create(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        try caller.requireAdmin()
        var members = try await request.jsonMembers(upTo: Self.bodyBytesMax)
        let userID = members.string("user_id", isRequired: true)
        if let userID, !Account.isAssignableID(userID) { members.refuse("user_id", Account.userIDRule) }
        let userName = members.userName("user_name") ?? userID
        let userType = members.userType("user_type", isRequired: true)
        let isAdmin = members.boolean("is_admin") ?? false
        let isDisabled = members.boolean("disabled") ?? false
        let capacity = members.capacity()
        if userType == .customer {
            if isAdmin { members.refuse("is_admin", Account.agentsOnlyRule) }
            if case .some(.some) = capacity { members.refuse("capacity", Account.agentsOnlyRule) }
        }
        let password = members.string("password", isRequired: true)
        if let password, let rule = rules.check(password, userID: userID ?? "", userName: userName ?? "") {
            members.refuse("password", rule)
        }
        try members.finish()
        guard let userID, let userName, let userType, let password else { throw Problem.badRequest("body") }
        let account = Account(
            userID: userID,
            userName: userName,
            userType: userType,
            isAdmin: isAdmin,
            isDisabled: isDisabled,
            capacity: capacity.flatMap { $0 },
            createdAt: accounts.sessions.clock.now()
        )
        let created = try await accounts.create(account, password: password, by: caller.actor)
        var response = try Response.json(UserDocument(created), status: .created)
        response.headers["Location"] = "/api/users/\(created.userID)"
        return response
    }

    @Sendable private func show(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        guard let account = try await accounts.sessions.store.account(userID) else { throw AccountService.noSuchUser }
        return try Response.json(UserDocument(account))
    }

    @Sendable private func update(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        var members = try await request.jsonMembers(upTo: Self.bodyBytesMax)
        var change = AccountChange(userName: members.userName("user_name"))
        for name in ["user_type", "is_admin", "disabled", "capacity"] where !caller.isAdmin && members.has(name) {
            throw AuthError.forbidden("\(name): only administrators may change it")
        }
        change.userType = members.userType("user_type")
        change.isAdmin = members.boolean("is_admin")
        change.isDisabled = members.boolean("disabled")
        change.capacity = members.capacity()
        try members.finish()
        if !caller.isAdmin { try changes.count(caller.userID) }
        return try Response.json(UserDocument(try await accounts.update(userID, change, by: caller.actor)))
    }

    @Sendable private func delete(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        try caller.requireAdmin()
        try await accounts.delete(caller.named(request.parameters["id"]), by: caller.actor)
        return Response(.noContent)
    }

    @Sendable private func setPassword(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        let isOwn = userID == caller.userID
        var members = try await request.jsonMembers(upTo: Self.bodyBytesMax)
        let old = isOwn ? members.string("old_password", isRequired: true) : nil
        let new = members.string("new_password", isRequired: true)
        if let new {
            guard let account = try await accounts.sessions.store.account(userID), !account.isGuest else {
                throw AccountService.noSuchUser
            }
            if let rule = rules.check(new, userID: userID, userName: account.userName) {
                members.refuse("new_password", rule)
            }
        }
        try members.finish()
        guard let new else { throw Problem.badRequest("body") }
        if !caller.isAdmin { try changes.count(caller.userID) }
        if let old {
            try await accounts.changePassword(of: caller.verified, from: old, to: new, by: caller.actor)
        } else {
            try await accounts.resetPassword(userID, to: new, by: caller.actor)
        }
        return Response(.noContent)
    }

    // MARK: - Sessions

    @Sendable private func listSessions(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        try await requireUser(userID, caller)
        let current = caller.verified.session.hash
        return try Response.json(
            UserSessions(
                sessions: try await accounts.sessions.list(of: userID).map { UserSession($0, current: current) }
            )
        )
    }

    @Sendable private func endSessions(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        let except = request.query["except"]
        guard except?.hasBytes(of: "current") ?? true else { throw Problem.badRequest("except: must be current") }
        try await requireUser(userID, caller)
        let spared = except == nil || userID != caller.userID ? nil : caller.verified.session.hash
        let count = try await accounts.endSessions(of: userID, sparing: spared, by: caller.actor)
        return try Response.json(EndedSessions(ended: count))
    }

    @Sendable private func endSession(_ request: Request) async throws -> Response {
        let caller = try await accounts.sessions.caller(of: request)
        let userID = caller.named(request.parameters["id"])
        try caller.requireSelfOrAdmin(userID)
        try await accounts.endSession(request.parameters["session"] ?? "", of: userID, by: caller.actor)
        return Response(.noContent)
    }

    private func requireUser(_ userID: String, _ caller: Caller) async throws {
        guard userID != caller.userID else { return }
        guard try await accounts.sessions.store.account(userID) != nil else { throw AccountService.noSuchUser }
    }
}
