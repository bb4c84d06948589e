import Core

/// How long sessions live, and how many there are.
struct SessionLimits: Sendable {
    /// When sessions end.
    struct Times: Sendable {
        /// Without use, in milliseconds.
        var idleMilliseconds: Int64
        /// In any case, in milliseconds.
        var lifetimeMilliseconds: Int64

        /// Use is written back this long after the last time: at most a minute, and soon enough for short sessions to
        /// slide too.
        var touchMilliseconds: Int64 { min(60_000, idleMilliseconds / 4) }
    }

    /// Of people with an account.
    var users = Times(idleMilliseconds: 7 * 86_400_000, lifetimeMilliseconds: 30 * 86_400_000)
    var guests = Times(idleMilliseconds: 86_400_000, lifetimeMilliseconds: 7 * 86_400_000)
    /// How long a refreshed session still works, in milliseconds (DESIGN's 10 s).
    var graceMilliseconds: Int64 = 10_000
    /// Sessions of one user; one more ends the oldest.
    var sessionsPerUserMax = 50
    /// Sessions whose state is kept in memory; beyond, the longest unused are forgotten and read again.
    var cachedSessionsMax = 20_000
    /// How long an account's data may be answered from memory, in milliseconds.
    var cacheAgeMilliseconds: Int64 = 30_000
    /// Uses waiting to be written back; beyond, they are written by a later use.
    var pendingTouchesMax = 20_000

    /// When a user's sessions end.
    func times(of userID: String) -> Times { userID.hasPrefix(Account.guestPrefix) ? guests : users }

    /// The state of a session that begins at `now`.
    func begin(_ hash: SessionHash, userID: String, now: Timestamp, endsAt: Timestamp? = nil) -> StoredSession {
        let times = times(of: userID)
        let end = endsAt ?? now.advanced(byMilliseconds: times.lifetimeMilliseconds)
        return StoredSession(
            hash: hash,
            userID: userID,
            createdAt: now,
            usedAt: now,
            expiresAt: min(now.advanced(byMilliseconds: times.idleMilliseconds), end),
            endsAt: end
        )
    }

    /// The new expiry when `session` is used at `now`; `nil` while it need not be written back.
    func expiryOnUse(_ session: StoredSession, now: Timestamp) -> Timestamp? {
        let times = times(of: session.userID)
        guard session.replacedBy == nil, now.milliseconds - session.usedAt.milliseconds >= times.touchMilliseconds
        else { return nil }
        return min(now.advanced(byMilliseconds: times.idleMilliseconds), session.endsAt)
    }
}
