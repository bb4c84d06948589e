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
