import Core

/// A user's status as agents see it; the user's, not the connection's.
package enum PresenceStatus: String, Sendable, WireWord {
    case online = "Online"
    case busy = "Busy"
    case away = "Away"
    case offline = "Offline"
}
