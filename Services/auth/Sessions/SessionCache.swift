import Core

/// Sessions lately verified, so that most verifications need no store.
///
/// Two generations of at most half the limit each: what is looked up moves to the young one; when that is full it
/// becomes the old one, and what nobody has asked for since is forgotten. What is not there is never remembered, since
/// a command may add it at any time.
struct SessionCache {
    private struct Entry {
        var session: VerifiedSession
        /// When the account's data was read.
        var readAt: Timestamp
    }

    /// When accounts were changed: what was read of them before is not fresh.
    ///
    /// Kept as long as entries are, so that one need not look for a user's sessions among all.
    private var changedAt: [String: Timestamp] = [:]
    private var young: [SessionHash: Entry] = [:]
    private var old: [SessionHash: Entry] = [:]
    private let generationMax: Int
    private let ageMaxMilliseconds: Int64
    /// Grows with every removal.
    ///
    /// An answer of the store that was asked for under an older value may be from before that
    /// removal, and is not kept.
    private(set) var removals = 0

    /// - Parameters:
    ///   - countMax: Sessions kept, at least 2.
    ///   - ageMaxMilliseconds: After this an entry is read again.
    init(countMax: Int, ageMaxMilliseconds: Int64) {
        generationMax = max(1, countMax / 2)
        self.ageMaxMilliseconds = ageMaxMilliseconds
    }

    /// Sessions held.
    var count: Int { young.count + old.count }

    /// The session of that hash, if it is here and fresh; it may have expired.
    mutating func find(_ hash: SessionHash, now: Timestamp) -> VerifiedSession? {
        if let entry = young[hash] { return isFresh(entry, now) ? entry.session : nil }
        guard let entry = old.removeValue(forKey: hash), isFresh(entry, now) else { return nil }
        put(entry)
        return entry.session
    }

    /// Keeps what the store said, unless something was removed since `removals` was read.
    mutating func insert(_ session: VerifiedSession, readAt: Timestamp, removals: Int) {
        guard removals == self.removals else { return }
        old[session.session.hash] = nil
        put(Entry(session: session, readAt: readAt))
    }

    /// Changes a session that is here.
    mutating func update(_ hash: SessionHash, _ change: (inout StoredSession) -> Void) {
        if young[hash] != nil {
            young[hash].map { entry in
                var entry = entry
                change(&entry.session.session)
                young[hash] = entry
            }
        } else if var entry = old[hash] {
            change(&entry.session.session)
            old[hash] = entry
        }
    }

    /// Forgets a session, and whatever the store is being asked about it.
    mutating func remove(_ hash: SessionHash) {
        removals += 1
        young[hash] = nil
        old[hash] = nil
    }

    /// Forgets everything, and whatever the store is being asked.
    mutating func removeAll() {
        removals += 1
        young = [:]
        old = [:]
    }

    /// An account was changed: what is known of it, or is being asked, is not used any more.
    mutating func forget(_ userID: String, now: Timestamp) {
        removals += 1
        if changedAt.count >= Self.changesMax {
            changedAt = changedAt.filter { now.milliseconds - $0.value.milliseconds < ageMaxMilliseconds }
            if changedAt.count >= Self.changesMax {
                changedAt = [:]
                removeAll()
            }
        }
        changedAt[userID] = now
    }

    /// Changed accounts held; past it all sessions are forgotten instead.
    private static let changesMax = 10_000

    private func isFresh(_ entry: Entry, _ now: Timestamp) -> Bool {
        guard (0..<ageMaxMilliseconds).contains(now.milliseconds - entry.readAt.milliseconds) else { return false }
        guard !changedAt.isEmpty, let changed = changedAt[entry.session.session.userID] else { return true }
        return entry.readAt > changed
    }

    private mutating func put(_ entry: Entry) {
        if young.count >= generationMax, young[entry.session.session.hash] == nil {
            old = young
            young = [:]
        }
        young[entry.session.session.hash] = entry
    }
}
