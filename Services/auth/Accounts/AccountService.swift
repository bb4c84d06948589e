import Core
import Crypto

/// What is done to accounts, by administrators and by their own users; without HTTP.
final class AccountService: Sendable {
    let sessions: SessionService
    private let hasher: PasswordHasher
    private let limiter: LoginLimiter

    init(_ sessions: SessionService, hasher: PasswordHasher, limiter: LoginLimiter) {
        self.sessions = sessions
        self.hasher = hasher
        self.limiter = limiter
    }

    private var store: any AuthStore { sessions.store }

    /// Makes an account with that password.
    ///
    /// - Throws: `AuthError.userExists`; `PasswordHasherError`; what the store throws.
    func create(_ account: Account, password: String, by actor: Actor) async throws -> Account {
        var account = account
        account.passwordHash = try await hasher.hash(PasswordRules.normalized(password))
        account.createdAt = sessions.clock.now()
        let entry = AuditEntry(
            .userCreated,
            by: actor,
            at: account.createdAt,
            userID: account.userID,
            details: ["user_type": account.userType.rawValue, "is_admin": String(account.isAdmin)]
        )
        try await store.createAccounts([account], audit: [entry])
        sessions.trail.logged(entry)
        return account
    }

    /// Changes an account; whose role changes or who is disabled is logged out everywhere.
    ///
    /// - Throws: `AuthError.notFound`, `.lastAdministrator`, `.invalidField`.
    func update(_ userID: String, _ change: AccountChange, by actor: Actor) async throws -> Account {
        let now = sessions.clock.now()
        guard let (account, entry) = try await store.updateAccount(userID, change, by: actor, now: now) else {
            throw Self.noSuchUser
        }
        if let entry {
            try await sessions.publishChanges()
            sessions.trail.logged(entry)
        }
        return account
    }

    /// Deletes an account for ever.
    ///
    /// - Throws: `AuthError.notFound`, `.lastAdministrator`.
    func delete(_ userID: String, by actor: Actor) async throws {
        let entry = AuditEntry(.userDeleted, by: actor, at: sessions.clock.now(), userID: userID)
        guard try await store.deleteAccount(userID, audit: entry) else { throw Self.noSuchUser }
        try await sessions.publishChanges()
        sessions.trail.logged(entry)
    }

    /// Sets somebody's password; all their sessions end.
    ///
    /// - Throws: `AuthError.notFound`; `PasswordHasherError`.
    func resetPassword(_ userID: String, to password: String, by actor: Actor) async throws {
        guard let account = try await store.account(userID), !account.isGuest else { throw Self.noSuchUser }
        let hash = try await hasher.hash(PasswordRules.normalized(password))
        let entry = AuditEntry(.passwordReset, by: actor, at: sessions.clock.now(), userID: userID)
        guard try await store.setPassword(userID, hash: hash, revision: nil, sparing: nil, audit: entry) else {
            throw Self.noSuchUser
        }
        try await sessions.publishChanges()
        sessions.trail.logged(entry)
    }

    /// Sets the caller's own password; their other sessions end.
    ///
    /// Wrong old ones count as failed logins do.
    ///
    /// - Throws: `AuthError.oldPasswordWrong`, `.tooManyAttempts`, `.accountChanged`; `PasswordHasherError`.
    func changePassword(
        of caller: VerifiedSession,
        from old: String,
        to new: String,
        by actor: Actor
    ) async throws {
        let userID = caller.session.userID
        let attempt = try await limiter.begin(
            username: userID,
            address: actor.remoteAddress ?? "",
            requestID: actor.requestID ?? ""
        )
        let account: Account?
        let matches: Bool
        let hash: String
        do {
            account = try await store.account(userID)
            matches = try await hasher.verify(PasswordRules.normalized(old), stored: account?.passwordHash)
            hash = matches ? try await hasher.hash(PasswordRules.normalized(new)) : ""
        } catch {
            limiter.abandoned(attempt)
            throw error
        }
        guard let account, matches else {
            limiter.failed(attempt)
            let failure = AuditEntry(.loginFailed, by: actor, at: sessions.clock.now(), userID: userID)
            try await sessions.trail.record(failure)
            throw AuthError.oldPasswordWrong
        }
        limiter.succeeded(attempt)
        let entry = AuditEntry(.passwordChanged, by: actor, at: sessions.clock.now(), userID: userID)
        let isSet = try await store.setPassword(
            userID,
            hash: hash,
            revision: account.revision,
            sparing: caller.session.hash,
            audit: entry
        )
        guard isSet else { throw AuthError.accountChanged }
        try await sessions.publishChanges()
        sessions.trail.logged(entry)
    }

    /// Ends a user's sessions.
    ///
    /// - Returns: How many there were.
    func endSessions(of userID: String, sparing spared: SessionHash?, by actor: Actor) async throws -> Int {
        let entry = AuditEntry(.sessionsEnded, by: actor, at: sessions.clock.now(), userID: userID)
        let count = try await store.endSessions(of: userID, sparing: spared, audit: entry)
        guard count > 0 else { return 0 }
        try await sessions.publishChanges()
        sessions.trail.logged(entry)
        return count
    }

    /// Ends one of a user's sessions.
    ///
    /// - Throws: `AuthError.notFound`.
    func endSession(_ handle: String, of userID: String, by actor: Actor) async throws {
        let entry = AuditEntry(.sessionsEnded, by: actor, at: sessions.clock.now(), userID: userID)
        guard SessionHash.isHandle(handle), try await store.endSession(handle: handle, of: userID, audit: entry) else {
            throw AuthError.notFound("session: no such session of this user")
        }
        try await sessions.publishChanges()
        sessions.trail.logged(entry)
    }

    static let noSuchUser = AuthError.notFound("user_id: no such user")
}
