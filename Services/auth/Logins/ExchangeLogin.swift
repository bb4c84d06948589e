import Core
import Crypto

/// Sessions for customers whom the operator's own site has logged in: it signs a token, which is good for one session.
final class ExchangeLogin: Sendable {
    private let sessions: SessionService
    /// `nil`: turned off.
    private let verifier: ExchangeVerifier?
    private let limiter: LoginLimiter

    init(_ sessions: SessionService, verifier: ExchangeVerifier?, limiter: LoginLimiter) {
        self.sessions = sessions
        self.verifier = verifier
        self.limiter = limiter
    }

    /// A session for the customer that the token names, whose account is made if there is none.
    ///
    /// Refused tokens count as failed logins of their address.
    ///
    /// - Throws: `AuthError.exchangeDisabled`, `.invalidToken`, `.accountUnusable`, `.tooManyAttempts`; what the store
    ///   throws.
    func logIn(_ token: String, from origin: SessionOrigin, requestID: String) async throws -> IssuedSession {
        guard let verifier else { throw AuthError.exchangeDisabled }
        let address = origin.remoteAddress
        let attempt = try await limiter.begin(username: nil, address: address, requestID: requestID)
        do {
            let issued = try await begin(verifier.verify(token, now: sessions.clock.now()), origin, requestID)
            limiter.succeeded(attempt)
            return issued
        } catch let error as AuthError {
            limiter.failed(attempt)
            let actor = Actor(remoteAddress: address, requestID: requestID)
            let entry = AuditEntry(.loginFailed, by: actor, at: sessions.clock.now(), details: ["by": "token"])
            try await sessions.trail.record(entry)
            throw error
        } catch {
            limiter.abandoned(attempt)
            throw error
        }
    }

    private func begin(
        _ token: ExchangeToken,
        _ origin: SessionOrigin,
        _ requestID: String
    ) async throws -> IssuedSession {
        let now = sessions.clock.now()
        let customer = Account(
            userID: token.userID,
            userName: token.userName ?? token.userID,
            userType: .customer,
            createdAt: now
        )
        let actor = Actor(userID: token.userID, remoteAddress: origin.remoteAddress, requestID: requestID)
        let id = SessionID.make()
        let entry = AuditEntry(.exchangeLogin, by: actor, at: now)
        let beginning = sessions.beginning(id, customer, from: origin, audit: entry)
        let account = try await sessions.store.exchange(
            token: SHA256.hash(token.jti),
            expiresAt: token.acceptedUntil,
            for: customer,
            naming: token.userName,
            beginning
        )
        return try await sessions.issued(id, beginning, account)
    }
}
