import Core
import Synchronization

/// Counts the open connections of this gateway, in all and by address, and refuses those over the limit; and those that
/// come faster than they can be taken in.
final class AdmissionControl: Sendable {
    /// Within so many seconds those that came too fast are told to come again, each at a time of its own.
    private static let retrySecondsMax = 5

    private struct Counts {
        var total = 0
        var byAddress: [String: Int] = [:]
        var rate: RateLimit
    }

    private let connectionsMax: Int
    private let perAddressMax: Int
    private let counts: Mutex<Counts>
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - connectionsMax: Connections in all.
    ///   - perAddressMax: Connections from one address.
    ///   - perSecond: Handshakes a second, and at once.
    ///   - now: A monotonic clock, in milliseconds.
    init(
        connectionsMax: Int,
        perAddressMax: Int,
        perSecond: Int = 2000,
        now: @escaping @Sendable () -> Int64 = { Monotonic.milliseconds() }
    ) {
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
        self.now = now
        counts = Mutex(Counts(rate: RateLimit(perSecond: perSecond, burst: perSecond, now: now())))
    }

    var total: Int { counts.withLock { $0.total } }

    /// Takes a place, which `leave` gives back.
    ///
    /// - Throws: `Problem` 503 when the gateway is full or too many come at once, 429 when the address has too many.
    func enter(_ address: String) throws(Problem) {
        let now = now()
        let problem = counts.withLock { counts -> Problem? in
            guard counts.total < connectionsMax else {
                let retry = Problem.Header("Retry-After", "5")
                return Problem(503, .tooManyConnections, "this gateway is full", headers: [retry])
            }
            guard counts.byAddress[address, default: 0] < perAddressMax else {
                let retry = Problem.Header("Retry-After", "30")
                return Problem(429, .tooManyConnections, "your address: too many connections", headers: [retry])
            }
            guard counts.rate.takeIfAny(now: now) else {
                let seconds = Int.random(in: 1...Self.retrySecondsMax)
                let retry = Problem.Header("Retry-After", String(seconds))
                return Problem(503, .tooManyConnections, "too many connections at once", headers: [retry])
            }
            counts.total += 1
            counts.byAddress[address, default: 0] += 1
            return nil
        }
        if let problem { throw problem }
    }

    func leave(_ address: String) {
        counts.withLock { counts in
            counts.total -= 1
            let rest = counts.byAddress[address, default: 1] - 1
            counts.byAddress[address] = rest > 0 ? rest : nil
        }
    }
}
