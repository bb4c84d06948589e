/// When to try to connect again, and whether commands may wait for it: a pure state machine, the time a parameter.
///
/// Times are milliseconds of the caller's clock.
package struct ReconnectState: Sendable, Equatable {
    /// The pauses before attempts: each up to twice as long as the last, and drawn from its upper half, so that the
    /// clients of a server that comes back do not all meet it at once.
    package struct Pauses: Sendable, Equatable {
        /// The first, in milliseconds; at least 1.
        package var first: Int64 = 20
        /// The longest, in milliseconds: a server that is back is found this soon.
        package var longest: Int64 = 1000
        /// How long a connection must have lasted for its end to count as the first failure, in milliseconds.
        package var stableAfter: Int64 = 1000

        package init() {}
    }

    private let pauses: Pauses
    private let patience: Int64
    /// Attempts in a row that came to nothing, or to a connection that did not last.
    package private(set) var failures = 0
    /// Since when there is no connection; `nil` while there is one.
    package private(set) var downSince: Int64?
    private var upSince: Int64 = 0

    /// - Parameters:
    ///   - pauses: Between attempts.
    ///   - patience: How long commands wait without a connection, in milliseconds.
    ///   - now: The first attempt is made now.
    package init(_ pauses: Pauses, patience: Int64, now: Int64) {
        self.pauses = pauses
        self.patience = patience
        downSince = now
    }

    /// Until when commands wait; `nil` while there is a connection.
    package var patienceEnds: Int64? { downSince.map { $0 + patience } }

    /// Whether a command may wait for a connection at `now`.
    package func isPatient(now: Int64) -> Bool { patienceEnds.map { now < $0 } ?? true }

    /// The server has greeted us.
    package mutating func connected(now: Int64) {
        downSince = nil
        upSince = now
    }

    /// A connection that had been greeted has ended.
    ///
    /// - Parameters:
    ///   - now: When.
    ///   - random: Spreads the pause.
    /// - Returns: When to try again: at once after a connection that lasted.
    package mutating func lost(now: Int64, random: UInt64) -> Int64 {
        downSince = now
        guard now - upSince < pauses.stableAfter else {
            failures = 0
            return now
        }
        return failed(now: now, random: random)
    }

    /// An attempt has failed.
    ///
    /// - Parameters:
    ///   - now: When.
    ///   - random: Spreads the pause.
    /// - Returns: When to try again.
    package mutating func failed(now: Int64, random: UInt64) -> Int64 {
        // 2^20 times the first pause is past any longest one that makes sense.
        let pause = min(pauses.first << Int64(min(failures, 20)), pauses.longest)
        failures += 1
        let half = pause / 2
        return now + pause - half + Int64(random % UInt64(half + 1))
    }
}
