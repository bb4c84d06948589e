/// Counts events in windows, each of which begins with the first event after the one before.
///
/// Pure; time is a parameter, in milliseconds of a monotonic clock.
struct FixedWindow {
    private let milliseconds: Int64
    private var since = Int64.min / 2
    private var count = 0

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Counts one event.
    ///
    /// - Returns: How many the window has, with this one.
    mutating func take(now: Int64) -> Int {
        if now - since > milliseconds {
            since = now
            count = 0
        }
        count += 1
        return count
    }
}

/// A token bucket: so many events a second after a burst.
///
/// Pure; time is a parameter, in milliseconds of a monotonic clock.
struct RateLimit {
    private let perSecond: Double
    private let burst: Double
    private var tokens: Double
    private var last: Int64

    init(perSecond: Int, burst: Int, now: Int64) {
        self.perSecond = Double(perSecond)
        self.burst = Double(burst)
        tokens = Double(burst)
        last = now
    }

    /// Takes one event.
    ///
    /// - Returns: How long to wait before the next one, in milliseconds; 0 when there is room.
    mutating func take(now: Int64) -> Int64 {
        if now > last {
            tokens = min(burst, tokens + Double(now - last) * perSecond / 1000)
            last = now
        }
        tokens -= 1
        return tokens >= 0 ? 0 : Int64((-tokens * 1000 / perSecond).rounded(.up))
    }
}
