/// The pauses between attempts to reach something again: doubling, with jitter, so that what comes back is not met by
/// everybody at once.
package struct Backoff: Sendable {
    /// The first and the longest pause, in milliseconds.
    package static let pauseMilliseconds = 100
    package static let pauseMillisecondsMax = 1000

    private var failures = 0
    private var hasSucceeded = false

    package init() {}

    /// Whether the next failure is the first since it was last reached.
    package var isFirst: Bool { failures == 0 }

    /// Notes a failure.
    ///
    /// - Returns: How long to wait before the next attempt.
    package mutating func failed() -> Duration {
        let pause = min(Self.pauseMilliseconds << min(failures, 10), Self.pauseMillisecondsMax)
        failures += 1
        return .milliseconds(Int.random(in: pause / 2...pause))
    }

    /// Notes an answer.
    ///
    /// - Returns: Whether it is the first one ever, or after a failure.
    package mutating func succeeded() -> Bool {
        defer {
            failures = 0
            hasSucceeded = true
        }
        return failures > 0 || !hasSucceeded
    }
}
