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
        refill(now)
        tokens -= 1
        return tokens >= 0 ? 0 : Int64((-tokens * 1000 / perSecond).rounded(.up))
    }

    /// Takes one event if there is room for it.
    ///
    /// - Returns: Whether there was; one that is refused does not count.
    mutating func takeIfAny(now: Int64) -> Bool {
        refill(now)
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    private mutating func refill(_ now: Int64) {
        guard now > last else { return }
        tokens = min(burst, tokens + Double(now - last) * perSecond / 1000)
        last = now
    }
}
