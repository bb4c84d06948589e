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
    /// More refreshes within one grace than are kept.
    case tooManyRefreshes
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
                "too many login attempts; try again in \(seconds) s",
                headers: [Problem.Header("Retry-After", String(seconds))]
            )
        case .sessionMissing:
            return .unauthenticated(
                "a session is needed: X-Session-Id, Authorization: Bearer, or the cookie session_id"
            )
        case .sessionEnded:
            return Problem(401, .sessionEnded, "the session has ended; log in again", headers: [Self.challenge])
        case .tooManyRefreshes: return .unavailable("too many refreshes at once")
        case .userExists(let userID):
            return Problem(409, .userExists, "user_id: \(userID) is taken, or was given out before")
        case .invalidToken(let rule):
            return Problem(401, .invalidToken, "token: \(rule)", headers: [Self.challenge])
        case .invalidField(let field, let rule): return .invalidField(field, rule)
        }
    }

    private static let challenge = Problem.Header("WWW-Authenticate", "Bearer")
}
