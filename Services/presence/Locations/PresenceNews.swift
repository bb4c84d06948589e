import Core

/// What a user has chosen to be shown as.
///
/// `Offline` is not among them: it is derived from having no connection.
enum ChosenStatus: String, Sendable, CaseIterable {
    case online = "Online"
    case busy = "Busy"
    case away = "Away"
}

/// One change of what others see of a user, not yet numbered.
struct PresenceNews: Sendable, Equatable {
    /// What has happened.
    enum Kind: String, Sendable {
        case joined, left, status
    }

    let kind: Kind
    let identity: PresenceTable.Identity
    /// The user's choice; one who has left is shown as offline.
    let status: ChosenStatus
    /// When it happened, by the wall clock.
    let at: Timestamp
    /// When the user was last there: on `left` the time of the drop, else `at`.
    let lastSeen: Timestamp

    init(_ kind: Kind, _ person: PresenceTable.Person, at now: Moment) {
        self.kind = kind
        identity = person.identity
        status = person.status
        at = now.wall
        lastSeen = person.droppedAt?.wall ?? now.wall
    }
}
