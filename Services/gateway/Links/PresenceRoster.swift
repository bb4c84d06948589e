import Contracts
import Core

/// Who is online as far as this gateway has told its agents: pure.
///
/// News that was missed is made good from a snapshot, as the difference to what was told: nobody stays shown who left
/// meanwhile.
struct PresenceRoster {
    private struct Entry: Equatable {
        let userName: String
        let userType: UserType
        let status: PresenceStatus
    }

    private var users: [String: Entry] = [:]
    /// Of the snapshot that is being read.
    private var seen: Set<String> = []

    var count: Int { users.count }

    /// Changes from the feed: those that are news.
    mutating func apply(_ changes: [PresenceChange]) -> [PresenceChange] { changes.filter { apply($0) } }

    /// Whether the change is news.
    private mutating func apply(_ change: PresenceChange) -> Bool {
        guard change.kind != .left else { return users.removeValue(forKey: change.userID) != nil }
        let entry = Entry(userName: change.userName, userType: change.userType, status: change.status)
        guard users[change.userID] != entry else { return false }
        users[change.userID] = entry
        return true
    }

    mutating func beginSnapshot() { seen = [] }

    /// A page of the snapshot.
    ///
    /// - Returns: What it says that was not known.
    mutating func takePage(_ page: [PresentUser], now: Timestamp) -> [PresenceChange] {
        page.compactMap { user in
            seen.insert(user.userID)
            let isKnown = users[user.userID] != nil
            let change = PresenceChange(
                version: 0,
                kind: isKnown ? .status : .joined,
                userID: user.userID,
                userName: user.userName,
                userType: user.userType,
                status: user.status,
                at: now
            )
            return apply(change) ? change : nil
        }
    }

    /// The snapshot is complete.
    ///
    /// - Parameter isSettled: Whether who is not in it has left: before, their gateway may not have announced them yet.
    /// - Returns: Those who have left.
    mutating func endSnapshot(isSettled: Bool, now: Timestamp) -> [PresenceChange] {
        defer { seen = [] }
        guard isSettled else { return [] }
        let gone = users.filter { !seen.contains($0.key) }
        for userID in gone.keys { users[userID] = nil }
        return gone.sorted { $0.key < $1.key }.map { userID, entry in
            PresenceChange(
                version: 0,
                kind: .left,
                userID: userID,
                userName: entry.userName,
                userType: entry.userType,
                status: .offline,
                at: now
            )
        }
    }
}
