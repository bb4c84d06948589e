import Core

/// What auth refuses, in its own words.
enum AuthError: Error, Sendable, Equatable {
    /// No such user, wrong password, other user type, disabled: one case, so that no answer can tell them apart.
    case invalidCredentials
    /// Login attempts are over their limit.
    case tooManyAttempts(retryAfterMilliseconds: Int64)
    /// No session was named.
    case sessionMissing
    /// The session that was named does not live.
    case sessionEnded
    /// The caller's role does not allow it.
    case forbidden(String)
    /// There is no such account, or no such session of it.
    case notFound(String)
    /// It would leave nobody who can administrate.
    case lastAdministrator
    /// The old password, asked for with the new one, is wrong.
    case oldPasswordWrong
    /// Something else changed the account in between.
    case accountChanged
    /// Guests, or exchanged tokens, are turned off.
    case guestsDisabled, exchangeDisabled
    /// As many guests as there may be.
    case tooManyGuests
    /// The token's account cannot be logged in to.
    case accountUnusable
    /// The user id is, or was, somebody's.
    case userExists(String)
    /// A token of the site's login is not accepted.
    case invalidToken(rule: String)
    /// A member breaks a rule.
    case invalidField(String, rule: String)
}

extension AuthError: ProblemConvertible {
    var problem: Problem {
        switch self {
        case .invalidCredentials:
            return Problem(
                401,
                .invalidCredentials,
                "username, password or user_type is wrong",
                headers: [Self.challenge]
            )
        case .tooManyAttempts(let milliseconds):
            let seconds = max(1, (milliseconds + 999) / 1000)
            return Problem(
                429,
                .tooManyAttempts,
                "too many attempts; try again in \(seconds) s",
                headers: [Problem.Header("Retry-After", String(seconds))]
            )
        case .sessionMissing:
            return .unauthenticated(
                "a session is needed: X-Session-Id, Authorization: Bearer, or the cookie session_id"
            )
        case .sessionEnded:
            return Problem(401, .sessionEnded, "the session has ended; log in again", headers: [Self.challenge])
        case .forbidden(let rule): return .forbidden(rule)
        case .notFound(let what): return .notFound(what)
        case .lastAdministrator:
            return Problem(409, .lastAdministrator, "this is the last administrator who can log in")
        case .oldPasswordWrong:
            return Problem(403, .invalidCredentials, "old_password: is wrong")
        case .accountChanged: return Problem(409, .conflict, "the account was changed meanwhile; look and try again")
        case .guestsDisabled: return Problem(403, .guestsDisabled, "guests are turned off; log in")
        case .exchangeDisabled: return Problem(403, .exchangeDisabled, "tokens of another site are not taken here")
        case .tooManyGuests: return .unavailable("too many guests", retryAfterSeconds: 60)
        case .accountUnusable: return .forbidden("token: its account cannot be logged in to")
        case .userExists(let userID):
            return Problem(409, .userExists, "user_id: \(userID) is taken, or was given out before")
        case .invalidToken(let rule):
            return Problem(401, .invalidToken, "token: \(rule)", headers: [Self.challenge])
        case .invalidField(let field, let rule): return .invalidField(field, rule)
        }
    }

    private static let challenge = Problem.Header("WWW-Authenticate", "Bearer")
}
