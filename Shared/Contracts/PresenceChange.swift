package import Core

/// The answer of `GET /internal/changes?epoch=E&after=V&queue=Q&wait=S` (presence): a long poll.
///
/// It ends at once when there is a change past `after`, a decision to offer, or a queue other than version `queue`.
/// Without `epoch` the answer is a reset that names the epoch and its newest version. `wait` is in seconds, 0…25.
/// No version of the queue is 0: ask with 0 first. Who leaves `queue` out does not follow it.
/// After a reset load `GET /internal/users`, and go on after the version that its first page names.
///
/// ```json
/// {"epoch":"p9Xa","next":12,"reset":false,"changes":[{"version":12,"kind":"left","user_id":"user123",
///  "user_name":"张三","user_type":"Kehu","status":"Offline","at":"2026-01-20T10:00:00.000Z"}]}
/// ```
package struct PresenceChangePage: Codable, Sendable, Equatable {
    /// Versions of different epochs have nothing to do with each other.
    package var epoch: String
    /// What to ask `after` next.
    package var next: Int
    /// The epoch is unknown or the version trimmed away: read the whole state again.
    package var reset: Bool
    /// Empty when the wait ended without news, or on a reset.
    package var changes: [PresenceChange]
    /// Routing decisions whose entry is not in the log yet: to be appended.
    ///
    /// Each is offered to one asker, and again to whoever asks, every 2 seconds until it is reported as logged (DESIGN
    /// R9); with a reset too.
    package var decisions: [RoutingDecision]?
    /// The queue, when its version is not the one that the asker has.
    package var queue: WaitingQueue?

    package init(
        epoch: String,
        next: Int,
        reset: Bool,
        changes: [PresenceChange],
        decisions: [RoutingDecision]? = nil,
        queue: WaitingQueue? = nil
    ) {
        self.epoch = epoch
        self.next = next
        self.reset = reset
        self.changes = changes
        self.decisions = decisions
        self.queue = queue
    }

    private enum CodingKeys: String, CodingKey {
        case epoch
        case next
        case reset
        case changes
        case decisions
        case queue
    }
}

/// One change in who is there.
///
/// ```json
/// {"version":12,"kind":"joined","user_id":"support001","user_name":"李四","user_type":"Kefu","status":"Online",
///  "at":"2026-01-20T10:00:00.000Z"}
/// ```
package struct PresenceChange: Codable, Sendable, Equatable {
    /// What happened.
    package enum Kind: String, Codable, Sendable {
        case joined, left, status
    }

    /// 1, 2, 3 … within the feed's epoch.
    package var version: Int
    package var kind: Kind
    package var userID: String
    package var userName: String
    package var userType: UserType
    /// The status after the change.
    package var status: PresenceStatus
    package var at: Timestamp

    package init(
        version: Int,
        kind: Kind,
        userID: String,
        userName: String,
        userType: UserType,
        status: PresenceStatus,
        at: Timestamp
    ) {
        self.version = version
        self.kind = kind
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.status = status
        self.at = at
    }

    private enum CodingKeys: String, CodingKey {
        case version
        case kind
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case status
        case at
    }
}
