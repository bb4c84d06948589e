import TestSupport
import Testing

@testable import GatewayService

@Suite("Message rate")
struct RateLimitTests {
    @Test("a burst passes at once, then so many a second")
    func burst() {
        var limit = RateLimit(perSecond: 10, burst: 3, now: 1000)
        for _ in 0..<3 { #expect(limit.take(now: 1000) == 0) }
        #expect(limit.take(now: 1000) == 100)
        #expect(limit.take(now: 1000) == 200)
        // 200 ms later the debt is paid and nothing is left.
        #expect(limit.take(now: 1200) == 100)
        #expect(limit.take(now: 1400) == 0)
    }

    @Test("rest is not saved up beyond the burst, and time does not go back")
    func rest() {
        var limit = RateLimit(perSecond: 1000, burst: 2, now: 0)
        #expect(limit.take(now: 1_000_000) == 0)
        #expect(limit.take(now: 500) == 0)
        #expect(limit.take(now: 500) == 1)
        #expect(limit.take(now: 1_000_000) == 2)
    }

    @Test("a window counts from its first event, and the next one begins after it")
    func windows() {
        var window = FixedWindow(milliseconds: 100)
        let counts = [0, 1, 100, 101, 201, 202].map { window.take(now: $0) }
        #expect(counts == [1, 2, 3, 1, 2, 1])
    }

    @Test("whoever waits as told keeps exactly the rate")
    func steady() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let perSecond = Int.random(in: 1...500, using: &random)
            let burst = Int.random(in: 1...50, using: &random)
            var limit = RateLimit(perSecond: perSecond, burst: burst, now: 0)
            var now: Int64 = 0
            var taken = 0
            while now < 20_000 {
                taken += 1
                now += limit.take(now: now)
            }
            let ideal = burst + perSecond * Int(now) / 1000
            #expect(taken <= ideal + 1, "seed \(seed)")
            // Waits are whole milliseconds, so the fastest rates lose a part of each.
            #expect(taken >= min(ideal, burst + perSecond * 20 / 2) - 1, "seed \(seed)")
        }
    }
}
