/// Who leads, as the shared database says it.
struct LeadershipRecord: Sendable, Equatable {
    /// One more with every leader.
    let term: Int64
    /// Where the other instances reach the leader.
    let url: String
    /// Counted up while the leader lives; `nil` when it has given leadership up.
    let beat: Int64?
}

/// One instance's part in there being one leader at a time: what to ask of the shared database, and what follows from
/// its answers.
///
/// Pure. Beats are compared by change and never by time: an instance that has looked at the same beat for `silenceMax`
/// of its own clock takes over. A leader answers for `leaseMax` from the *sending* of its last beat, which is over
/// before anybody who saw that beat may take over. What a former leader still writes, the database refuses
/// (`Fence`).
struct Leadership: Sendable {
    /// The spans that make it safe, and how soon a lost leader is replaced.
    struct Limits: Sendable, Equatable {
        /// Between two beats of the leader.
        var beatInterval: Milliseconds = 1000
        /// How long a beat lets the leader answer; below `silenceMax`.
        var leaseMax: Milliseconds = 2000
        /// How long a beat stays the same until somebody else leads.
        var silenceMax: Milliseconds = 3000
        /// How long a leader that cannot reach the database waits for it, not answering, before it begins anew.
        var lapseMax: Milliseconds = 10_000
        /// Between two looks at the leader's beat, and before what has failed is tried again.
        var lookInterval: Milliseconds = 200
    }

    enum Role: Sendable, Equatable {
        case follower
        case leader(term: Int64)
    }

    /// What to do now; its outcome is told by one of the calls below.
    enum Step: Sendable, Equatable {
        case wait(until: Milliseconds)
        /// Read the record: `saw`, `lookFailed`.
        case look
        /// Become the leader if the record is still this one: `claimed`, `claimFailed`.
        case claim(after: LeadershipRecord?)
        /// Store the next beat: `renewed`, `deposed`, `renewalFailed`.
        case renew(term: Int64)
    }

    private struct Seen {
        let record: LeadershipRecord?
        /// Since when it was seen to be this one, without a failed look between.
        var since: Milliseconds
    }

    let limits: Limits
    private(set) var role = Role.follower
    private var seen: Seen?
    private var mayClaim = false
    private var dueAt: Milliseconds
    private var renewedAt: Milliseconds

    init(limits: Limits = Limits(), now: Milliseconds) {
        self.limits = limits
        dueAt = now
        renewedAt = now
    }

    /// Until when this instance may answer as the leader; `nil` for a follower.
    var heldUntil: Milliseconds? { role == .follower ? nil : renewedAt + limits.leaseMax }

    /// Where a follower finds the leader; `nil` when there is none that it knows of.
    var leaderURL: String? {
        guard role == .follower, let record = seen?.record, record.beat != nil, !mayClaim else { return nil }
        return record.url
    }

    /// What to do next.
    func next(now: Milliseconds) -> Step {
        guard now >= dueAt else { return .wait(until: dueAt) }
        switch role {
        case .leader(let term): return .renew(term: term)
        case .follower: return mayClaim ? .claim(after: seen?.record) : .look
        }
    }

    // MARK: - A follower

    /// The record was read, and the answer is here now.
    mutating func saw(_ record: LeadershipRecord?, now: Milliseconds) {
        if let seen, seen.record == record {
            mayClaim = record?.beat == nil || now - seen.since >= limits.silenceMax
        } else {
            seen = Seen(record: record, since: now)
            mayClaim = record?.beat == nil
        }
        dueAt = mayClaim ? now : now + limits.lookInterval
    }

    /// The record could not be read: nor can the leader have written, so its silence counts from now.
    mutating func lookFailed(now: Milliseconds) {
        seen?.since = now
        dueAt = now + limits.lookInterval
    }

    /// This instance leads; its first beat was sent at `sentAt`.
    mutating func claimed(term: Int64, sentAt: Milliseconds) {
        role = .leader(term: term)
        mayClaim = false
        renewedAt = sentAt
        dueAt = sentAt + limits.beatInterval
    }

    /// Somebody else was first, or the database has not answered.
    mutating func claimFailed(now: Milliseconds) {
        mayClaim = false
        seen?.since = now
        dueAt = now
    }

    // MARK: - The leader

    /// The beat sent at `sentAt` is stored.
    mutating func renewed(sentAt: Milliseconds) {
        renewedAt = sentAt
        dueAt = sentAt + limits.beatInterval
    }

    /// The beat is not stored, as far as is known.
    mutating func renewalFailed(now: Milliseconds) {
        guard now < renewedAt + limits.lapseMax else {
            deposed(now: now)
            return
        }
        dueAt = now + limits.lookInterval
    }

    /// Another instance leads.
    mutating func deposed(now: Milliseconds) {
        role = .follower
        seen = nil
        dueAt = now
    }
}
