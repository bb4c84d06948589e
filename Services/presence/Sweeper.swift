/// Lets time pass for presence: one loop, no timer per user.
struct Sweeper: Sendable {
    /// The longest pause between two sweeps; long polls end with this precision.
    static let intervalMax: Milliseconds = 500
    /// The shortest, so that many deadlines close together share a sweep.
    static let intervalMin: Milliseconds = 10

    let presence: Presence
    let routing: Routing
    let clock: @Sendable () -> Moment
    /// Whether silences and graces may end just now; while not, only long polls do.
    let letsTimePass: @Sendable () -> Bool

    /// How often the times of those who have left are stored.
    static let storingInterval: Milliseconds = 1000
    /// How often time passes for routing: a queue that moves is shown with this precision.
    static let routingInterval: Milliseconds = 250

    /// Works until cancelled.
    func run() async {
        async let storing: Void = store()
        async let routing: Void = sweepRouting()
        await sweep()
        await storing
        await routing
    }

    private func store() async {
        while !Task.isCancelled {
            await presence.storeDepartures()
            try? await Task.sleep(for: .milliseconds(Self.storingInterval))
        }
    }

    private func sweepRouting() async {
        while !Task.isCancelled {
            if letsTimePass() { await routing.inbox.sweep() }
            try? await Task.sleep(for: .milliseconds(Self.routingInterval))
        }
    }

    private func sweep() async {
        while !Task.isCancelled {
            var next: Milliseconds?
            if letsTimePass() { next = await presence.sweep() } else { presence.feed.expire(now: clock().monotonic) }
            let untilNext = next.map { $0 - clock().monotonic } ?? Self.intervalMax
            let pause = min(max(untilNext, Self.intervalMin), Self.intervalMax)
            // Cancellation ends the sleep, and then the loop.
            try? await Task.sleep(for: .milliseconds(pause))
        }
    }
}
