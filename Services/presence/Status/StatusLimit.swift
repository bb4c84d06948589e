import ServiceKit

/// How often a user may change their status: each change is a write that the leader's beat and routing wait for.
struct StatusLimit: Sendable {
    static let perMinute = 30
    /// Changes at once.
    static let burst = 10
    private static let usersMax = 10_000

    private var rates = RateTable(
        eventsMax: burst,
        windowMilliseconds: Int64(60_000 * burst / perMinute),
        keysMax: usersMax
    )

    /// Counts one more change.
    ///
    /// - Throws: `PresenceError.tooManyChanges`; then it is not counted.
    mutating func count(_ userID: String, now: Milliseconds) throws(PresenceError) {
        if let wait = rates.wait(userID, now: now) { throw .tooManyChanges(wait: wait) }
        rates.count(userID, now: now)
    }
}
