import Core

/// Milliseconds on the monotonic clock, or a span of them.
typealias Milliseconds = Int64

/// One reading of both clocks: deadlines follow the monotonic one, what people read the wall clock.
///
/// Every state machine here takes it as a parameter, so that tests and simulations own the time.
struct Moment: Sendable, Equatable {
    let monotonic: Milliseconds
    let wall: Timestamp

    /// Both clocks, now.
    static func now() -> Moment {
        Moment(monotonic: Monotonic.milliseconds(), wall: .now())
    }

    func advanced(by delta: Milliseconds) -> Moment {
        Moment(monotonic: monotonic + delta, wall: wall.advanced(byMilliseconds: delta))
    }
}
