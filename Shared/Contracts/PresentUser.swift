package import Core

/// One user as `GET /api/presence` and `GET /internal/users` show them.
///
/// ```json
/// {"user_id":"support001","user_name":"李四","user_type":"Kefu","status":"Online",
///  "last_seen":"2026-01-20T10:00:00.000Z"}
/// ```
package struct PresentUser: Codable, Sendable, Equatable {
    package var userID: String
    package var userName: String
    package var userType: UserType
    package var status: PresenceStatus
    /// When the user last had a connection: now, while they have one; left out when that is not known.
    package var lastSeen: Timestamp?

    package init(
        userID: String,
        userName: String,
        userType: UserType,
        status: PresenceStatus,
        lastSeen: Timestamp?
    ) {
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.status = status
        self.lastSeen = lastSeen
    }

    private enum CodingKeys: String, CodingKey {
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case status
        case lastSeen = "last_seen"
    }
}

/// The answer of `GET /internal/users?user_type=T&cursor=C&limit=N` (presence): everyone who is online, for a gateway
/// whose change feed was reset.
///
/// Changes after the *first* page's `next`, applied to the pages in order, give the present state.
///
/// ```json
/// {"epoch":"p9Xa","next":12,"settled":true,"users":[],"next_cursor":"user123"}
/// ```
package struct PresenceSnapshot: Codable, Sendable, Equatable {
    package var epoch: String
    /// The version of the change feed that this page shows.
    package var next: Int
    /// False until every gateway has had the time to announce its users after a start of presence: till then, not being
    /// here does not mean being offline.
    package var settled: Bool
    package var users: [PresentUser]
    /// Left out on the last page.
    package var nextCursor: String?

    package init(epoch: String, next: Int, settled: Bool, users: [PresentUser], nextCursor: String?) {
        self.epoch = epoch
        self.next = next
        self.settled = settled
        self.users = users
        self.nextCursor = nextCursor
    }

    private enum CodingKeys: String, CodingKey {
        case epoch
        case next
        case settled
        case users
        case nextCursor = "next_cursor"
    }
}
