import Core

/// The times that files goes by; a test puts a clock of its own in their place.
struct FilesClock: Sendable {
    /// The wall clock, for what is stored.
    var now: @Sendable () -> Timestamp = { Timestamp.now() }
    /// Milliseconds that never go back, for time-outs.
    var monotonicMilliseconds: @Sendable () -> Int64 = { Monotonic.milliseconds() }
    /// Waits; ends early, throwing, when its task is cancelled.
    var sleep: @Sendable (_ milliseconds: Int64) async throws -> Void = { milliseconds in
        try await Task.sleep(for: .milliseconds(milliseconds))
    }
}
