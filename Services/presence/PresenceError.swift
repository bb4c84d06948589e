import Core

/// What presence refuses, in its own words.
enum PresenceError: Error, Equatable {
    /// The registration is not one of this presence's living ones: its gateway was silent too long, has a newer
    /// incarnation, or knew another presence.
    case unknownRegistration
    /// A registration begins with an announcement; this one has sent none yet.
    case announcementMissing
    /// Events are missing before this batch.
    case gap(expected: Int, got: Int)
    case tooManyGateways(max: Int)
    /// Nobody of that name, or nobody that the caller may know of.
    case unknownUser
    /// More users have a stored status than the service keeps.
    case tooManyStatuses
}

extension PresenceError: ProblemConvertible {
    var problem: Problem {
        switch self {
        case .unknownRegistration:
            Problem(409, .conflict, "registration: unknown here; register again and announce everything")
        case .announcementMissing:
            Problem(409, .conflict, "events: a registration begins with announce_begin; announce everything")
        case .gap(let expected, let got):
            Problem(409, .conflict, "first: expected \(expected), got \(got); announce everything again")
        case .tooManyGateways(let max):
            .unavailable("gateways: \(max) are registered, which is the most", retryAfterSeconds: 10)
        case .unknownUser:
            .notFound("user_id: no such user")
        case .tooManyStatuses:
            Problem(507, .storageFull, "status: no room for another user's")
        }
    }
}
