import ServiceKit
import Synchronization

/// How often one user may do what every service is told of.
final class UserRate: Sendable {
    private static let perMinuteMax = 60
    private static let usersMax = 10_000

    private let rates: Mutex<RateTable>
    private let clock: @Sendable () -> Int64

    /// - Parameter clock: Milliseconds that never go back.
    init(clock: @escaping @Sendable () -> Int64) {
        self.clock = clock
        rates = Mutex(
            RateTable(eventsMax: Self.perMinuteMax, windowMilliseconds: 60_000, keysMax: Self.usersMax)
        )
    }

    /// Counts one more.
    ///
    /// - Throws: `AuthError.tooManyAttempts`; then it is not counted.
    func count(_ userID: String) throws(AuthError) {
        let now = clock()
        let wait = rates.withLock { rates -> Int64? in
            if let wait = rates.wait(userID, now: now) { return wait }
            rates.count(userID, now: now)
            return nil
        }
        if let wait { throw .tooManyAttempts(retryAfterMilliseconds: wait) }
    }
}
