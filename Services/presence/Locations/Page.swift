import Contracts
import Core

/// Some people of a longer list, and where the next ones begin.
struct Page: Sendable {
    let people: [PresenceTable.Person]
    /// The last user id of this page; `nil` on the last page.
    let nextCursor: String?

    /// - Parameters:
    ///   - people: At least one more than `limit` if there are more.
    ///   - limit: The most people of a page, at least 1.
    init(_ people: [PresenceTable.Person], limit: Int) {
        self.people = Array(people.prefix(limit))
        nextCursor = people.count > limit ? people[limit - 1].identity.userID : nil
    }
}

extension PresenceTable.Person {
    /// The user as others see them.
    func document(now: Timestamp) -> PresentUser {
        PresentUser(
            userID: identity.userID,
            userName: identity.userName,
            userType: identity.userType,
            status: status.shown,
            lastSeen: droppedAt?.wall ?? now
        )
    }
}

extension ChosenStatus {
    /// The status on the wire of a user who is online.
    var shown: PresenceStatus {
        switch self {
        case .online: .online
        case .busy: .busy
        case .away: .away
        }
    }
}
