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
    /// The user changes their status too often; milliseconds until they may again.
    case tooManyChanges(wait: Milliseconds)
    /// Another instance leads, or none does just now.
    case notLeading
    // What routing refuses.
    /// Presence was never asked to route it.
    case unknownConversation
    /// A new message opens it.
    case conversationClosed
    /// Neither the assigned agent nor an administrator asks.
    case notTheirConversation
    /// The last decision's entry is not in the log yet.
    case decisionPending
    /// No account of that name, or one that is not an enabled agent's.
    case unknownAgent
    /// Not connected, or not `Online`.
    case agentUnavailable
    case agentAtCapacity
    /// They have just come, and their account is still being asked for.
    case capacityUnknown
    /// As many conversations wait, or are open, as the service keeps.
    case queueFull
    /// The store does not take what is decided, or too much waits for it.
    case routingUnavailable
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
        case .tooManyChanges(let wait):
            Problem(
                429,
                .tooManyRequests,
                "status: too many changes; wait before the next one",
                headers: [.init("Retry-After", String(max(1, (wait + 999) / 1000)))]
            )
        case .notLeading: .unavailable("presence: no instance of it leads just now; ask again")
        case .unknownConversation: .notFound("conversation_id: no such conversation")
        case .conversationClosed: Problem(409, .conversationClosed, "conversation_id: a new message opens it")
        case .notTheirConversation:
            .forbidden("requested_by: neither the assigned agent nor an administrator")
        case .decisionPending:
            Problem(409, .conflict, "conversation_id: another decision is not in the log yet; ask again")
        case .unknownAgent: .invalidField("agent_id", "an enabled agent's")
        case .agentUnavailable: Problem(409, .agentUnavailable, "agent_id: not connected, or not Online")
        case .agentAtCapacity: Problem(409, .agentAtCapacity, "agent_id: has as many conversations as they can")
        case .capacityUnknown:
            Problem(409, .conflict, "agent_id: their capacity is not known yet; ask again")
        case .queueFull:
            Problem(
                503,
                .queueFull,
                "conversation_id: no room for another; ask again",
                headers: [.init("Retry-After", "10")]
            )
        case .routingUnavailable: .unavailable("routing: the store does not answer")
        }
    }
}
