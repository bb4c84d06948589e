package import Core

/// Why the password pool did not do what was asked.
package enum PasswordHasherError: Error, Sendable, Equatable {
    /// As many requests as it takes are in hand; try again in a second.
    case busy
    /// The pool has been stopped.
    case stopped
    /// The password or the stored hash cannot be used.
    case password(PasswordHashError)
}

extension PasswordHasherError: ProblemConvertible {
    package var problem: Problem {
        switch self {
        case .busy: .unavailable("Too many logins at once; try again in a second.")
        case .stopped: .unavailable("The service is stopping.")
        case .password(.passwordContainsNUL): .invalidField("password", "must not contain U+0000")
        case .password(.passwordTooLong):
            .invalidField("password", "must have at most \(PasswordHash.passwordBytesMax) bytes of UTF-8")
        case .password(.storedHashMalformed), .password(.systemCall):
            Problem(500, .internalError, "The password could not be checked.")
        }
    }
}
