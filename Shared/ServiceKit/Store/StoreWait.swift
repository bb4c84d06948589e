import Redis
import Storage

/// The wait of a start for its store: when it is asked again, and when that is worth a line in the log.
///
/// Pure; times are milliseconds of the monotonic clock.
struct StoreWait {
    /// Between two lines of the same wait.
    static let reportInterval: Int64 = 10_000

    private var backoff = Backoff()
    private var reportedAt: Int64?
    /// When the first attempt failed; `nil` when none has.
    private(set) var begunAt: Int64?

    /// Whether the failure of a start passes by itself: Redis cannot be reached, or is not ready yet.
    ///
    /// A wrong password, another version, or what is no store of ours does not.
    static func isWorthwhile(after error: any Error) -> Bool {
        switch error {
        case let error as ChangeLogError: error.isPassing
        case let error as RedisError: error.isPassing
        default: false
        }
    }

    /// Notes an attempt that has failed.
    ///
    /// - Returns: How long to wait before the next one, and whether to say so.
    mutating func failed(now: Int64) -> (pause: Duration, isReported: Bool) {
        if begunAt == nil { begunAt = now }
        let isReported = reportedAt.map { now - $0 >= Self.reportInterval } ?? true
        if isReported { reportedAt = now }
        return (backoff.failed(), isReported)
    }
}
