import Synchronization

/// The open connections of each user, over all loops, oldest first; says which ones a further one displaces.
final class UserConnections: Sendable {
    private let perUserMax: Int
    private let users = Mutex<[String: [ConnectionID]]>([:])

    init(perUserMax: Int) { self.perUserMax = perUserMax }

    /// A connection has opened.
    ///
    /// - Returns: The oldest ones over the limit, to be closed. They are forgotten at once: one that takes its time to
    ///   answer a close frame must not be chosen a second time in place of the next.
    func enter(_ userID: String, _ connection: ConnectionID) -> [ConnectionID] {
        users.withLock { users in
            users[userID, default: []].append(connection)
            let excess = (users[userID]?.count ?? 0) - perUserMax
            guard excess > 0 else { return [] }
            let displaced = Array(users[userID]?.prefix(excess) ?? [])
            users[userID]?.removeFirst(excess)
            return displaced
        }
    }

    /// A connection is closing or gone; once is enough.
    func leave(_ userID: String, _ connection: ConnectionID) {
        users.withLock { users in
            users[userID]?.removeAll { $0 == connection }
            if users[userID]?.isEmpty == true { users[userID] = nil }
        }
    }
}
