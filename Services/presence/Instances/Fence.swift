import Storage

/// What every transaction of presence's stores begins with: the check that this process may write.
///
/// It is made inside the step that stores, so a leader that was replaced while it stood still cannot change anything.
struct Fence: Sendable {
    /// Throws `PresenceError.notLeading` unless it may.
    let check: @Sendable (Connection) throws -> Void

    /// For a file that this process owns.
    static let none = Fence { _ in }

    /// For the leader of a term, as long as no other one has begun.
    static func leader(_ lease: LeaderLease) -> Fence {
        Fence { db in
            let term = try db.first("SELECT term FROM leadership WHERE id = 1") { $0.int64(0) }
            guard term == lease.term else {
                lease.end()
                throw PresenceError.notLeading
            }
        }
    }
}
