import Core
import Crypto

/// Logins by password: the limits, the comparison, and the session that comes of it.
final class PasswordLogin: Sendable {
    private let sessions: SessionService
    private let hasher: PasswordHasher
    private let limiter: LoginLimiter

    init(_ sessions: SessionService, hasher: PasswordHasher, limiter: LoginLimiter) {
        self.sessions = sessions
        self.hasher = hasher
        self.limiter = limiter
    }

    /// Who wants to log in, and from where.
    struct Credentials: Sendable {
        var username: String
        var password: String
        /// `nil`: whatever the account is.
        var userType: UserType?
        var origin: SessionOrigin
        var requestID: String
    }

    /// A new session for who knows the password.
    ///
    /// Takes the same time whether or not the account exists.
    ///
    /// - Throws: `AuthError.invalidCredentials`, `.tooManyAttempts`; `PasswordHasherError` when the pool is busy or the
    ///   password cannot be one; what the store throws.
    func logIn(_ credentials: Credentials) async throws -> IssuedSession {
        let address = credentials.origin.remoteAddress
        let attempt = try await limiter.begin(
            username: credentials.username,
            address: address,
            requestID: credentials.requestID
        )
        let password = PasswordRules.normalized(credentials.password)
        let account: Account?
        let matches: Bool
        do {
            account =
                Identifier.isUserID(credentials.username) ? try await sessions.store.account(credentials.username) : nil
            matches = try await hasher.verify(password, stored: account?.passwordHash)
        } catch {
            limiter.abandoned(attempt)
            throw error
        }
        var actor = Actor(remoteAddress: address, requestID: credentials.requestID)
        if let account, matches, !account.isDisabled,
            credentials.userType == nil || credentials.userType == account.userType
        {
            actor.userID = account.userID
            let entry = AuditEntry(.login, by: actor, at: sessions.clock.now())
            // `nil`, if the account was disabled, or its password changed, since it was read.
            if let issued = try await sessions.begin(account, from: credentials.origin, audit: entry) {
                limiter.succeeded(attempt)
                try await improveHash(of: account, password)
                return issued
            }
        }
        limiter.failed(attempt)
        actor.userID = nil
        // Only a known name is kept: people type passwords into the wrong field.
        let entry = AuditEntry(.loginFailed, by: actor, at: sessions.clock.now(), userID: account?.userID)
        try await sessions.trail.record(entry)
        throw AuthError.invalidCredentials
    }

    /// Makes the stored hash again when its cost is not today's; the password is only at hand now.
    private func improveHash(of account: Account, _ password: String) async throws {
        guard let stored = account.passwordHash, hasher.needsRehash(stored: stored) else { return }
        do {
            try await sessions.store.rehash(account.userID, from: stored, to: try await hasher.hash(password))
        } catch is PasswordHasherError {
            // The pool is busy: there will be another login.
        }
    }
}
