/// Whose heads are to be read, and when: pure (DESIGN R2, R6).
///
/// After presence has answered a user's join, and once more a longest lease later, since until then some gateway may
/// think that the user is elsewhere; everybody once an interval, spread over it; and everybody soon when a gateway was
/// lost. A read that was begun before it became due again does not count.
struct HeadReads {
    /// Users whose heads are read at once.
    static let underWayMax = 64
    /// After a read that failed, in milliseconds.
    static let retryMilliseconds: Int64 = 250
    /// Over how long everybody is read when a gateway was lost, in milliseconds.
    static let lostMilliseconds: Int64 = 1000

    private var due: ArraySlice<String> = []
    private var isDue: Set<String> = []
    private var underWay: Set<String> = []
    /// Second reads to come, each user's at the last of its times.
    private var second: [String: Int64] = [:]
    private var seconds: ArraySlice<(userID: String, at: Int64)> = []
    private var failed: ArraySlice<(userID: String, at: Int64)> = []
    /// The round over everybody: who is left of it.
    private var round: ArraySlice<String> = []
    private var roundCount = 0
    private var roundBegin = Int64.min
    private var roundMilliseconds: Int64 = 0

    /// Whether no read is due, under way or to come.
    var isIdle: Bool {
        due.isEmpty && underWay.isEmpty && seconds.isEmpty && failed.isEmpty && round.isEmpty
    }

    /// Presence has answered the joins of these users' connections.
    ///
    /// Also where no other gateway is known: one that has registered meanwhile may have looked the users up before
    /// their joins, and commit on the strength of it.
    mutating func joined(_ userIDs: [String], now: Int64, leaseMilliseconds: Int) {
        let time = now + Int64(leaseMilliseconds)
        for userID in userIDs {
            makeDue(userID)
            // With another connection's read still to come the later one does for both.
            second[userID] = time
            seconds.append((userID, time))
        }
    }

    /// A user may have missed something.
    mutating func makeDue(_ userID: String) {
        if isDue.insert(userID).inserted { due.append(userID) }
    }

    /// Begins a round over everybody, when the interval of the one before is over, or has become shorter.
    mutating func beginRound(_ userIDs: () -> [String], over milliseconds: Int64, now: Int64) {
        let isOver = roundBegin == .min || round.isEmpty && now - roundBegin >= roundMilliseconds
        guard isOver || milliseconds < roundMilliseconds else { return }
        restartRound(userIDs(), over: milliseconds, now: now)
    }

    /// A gateway was lost: what it had committed it may have told nobody.
    mutating func lost(_ userIDs: [String], now: Int64) {
        restartRound(userIDs, over: Self.lostMilliseconds, now: now)
    }

    private mutating func restartRound(_ userIDs: [String], over milliseconds: Int64, now: Int64) {
        round = userIDs[...]
        roundCount = userIDs.count
        roundBegin = now
        roundMilliseconds = max(milliseconds, 1)
    }

    /// The users to read now; each is `ended` later.
    mutating func next(now: Int64) -> [String] {
        makeTimesDue(now)
        var next: [String] = []
        var held: [String] = []
        while underWay.count < Self.underWayMax, let userID = due.popFirst() {
            // What is read of them now may be older than what is due.
            guard underWay.insert(userID).inserted else {
                held.append(userID)
                continue
            }
            isDue.remove(userID)
            next.append(userID)
        }
        due.append(contentsOf: held)
        return next
    }

    private mutating func makeTimesDue(_ now: Int64) {
        while let first = seconds.first, first.at <= now {
            seconds.removeFirst()
            guard second[first.userID] == first.at else { continue }
            second[first.userID] = nil
            makeDue(first.userID)
        }
        while let first = failed.first, first.at <= now {
            failed.removeFirst()
            makeDue(first.userID)
        }
        guard !round.isEmpty else { return }
        let elapsed = min(max(now - roundBegin, 0), roundMilliseconds)
        let rest = roundCount - Int(Int64(roundCount) * elapsed / roundMilliseconds)
        while round.count > rest, let userID = round.popFirst() { makeDue(userID) }
    }

    /// - Parameter isRead: Whether the heads were read; else they are again, soon.
    mutating func ended(_ userID: String, isRead: Bool, now: Int64) {
        underWay.remove(userID)
        if !isRead { failed.append((userID, now + Self.retryMilliseconds)) }
    }
}
