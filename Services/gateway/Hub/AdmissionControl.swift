import Core
import ServiceKit
import Synchronization

/// Counts the open connections of this gateway, in all and by address, and refuses those over the limit; and those that
/// come faster than they can be taken in.
///
/// An address is what `ClientNetwork` takes for one: of IPv6 a network of 64 bits, all of which one customer has.
final class AdmissionControl: Sendable {
    /// Within so many seconds those that came too fast are told to come again, each at a time of its own.
    private static let retrySecondsMax = 5
    /// Handshakes of one address that may fail at once by what they bring: no live session, somebody else's name.
    ///
    /// Further ones are refused before auth is asked, and before they take from what all others are let in by.
    static let failuresBurst = 100
    /// The same in each second after that.
    static let failuresPerSecond = 20
    /// Addresses of which failures are known.
    private static let failingMax = 10_000

    private struct Counts {
        var total = 0
        var byAddress: [String: Int] = [:]
        var rate: RateLimit
        var failures = RateTable(
            eventsMax: failuresBurst,
            windowMilliseconds: Int64(1000 * failuresBurst / failuresPerSecond),
            keysMax: failingMax
        )
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
    /// - Throws: `Problem` 503 when the gateway is full or too many come at once, 429 when the address has too many, or
    ///   too many of its handshakes failed.
    func enter(_ address: String) throws(Problem) {
        let now = now()
        let address = ClientNetwork.key(of: address)
        let problem = counts.withLock { counts -> Problem? in
            guard counts.total < connectionsMax else {
                let retry = Problem.Header("Retry-After", "5")
                return Problem(503, .tooManyConnections, "this gateway is full", headers: [retry])
            }
            guard counts.byAddress[address, default: 0] < perAddressMax else {
                let retry = Problem.Header("Retry-After", "30")
                return Problem(429, .tooManyConnections, "your address: too many connections", headers: [retry])
            }
            guard counts.failures.wait(address, now: now) == nil else {
                return Problem(429, .tooManyRequests, "your address: too many failed", headers: [Self.retrySoon])
            }
            guard counts.rate.takeIfAny(now: now) else {
                return Problem(503, .tooManyConnections, "too many connections at once", headers: [Self.retrySoon])
            }
            counts.total += 1
            counts.byAddress[address, default: 0] += 1
            return nil
        }
        if let problem { throw problem }
    }

    private static var retrySoon: Problem.Header {
        Problem.Header("Retry-After", String(Int.random(in: 1...retrySecondsMax)))
    }

    /// A handshake was refused for what it brought; `leave` gives its place back all the same.
    func failed(_ address: String) {
        let now = now()
        let address = ClientNetwork.key(of: address)
        counts.withLock { counts in
            // Those that were under way beyond the limit do not lengthen it: one more is let in as soon as one is due,
            // and with it, once it is a good one, all the others of an office.
            if counts.failures.wait(address, now: now) == nil { counts.failures.count(address, now: now) }
        }
    }

    func leave(_ address: String) {
        let address = ClientNetwork.key(of: address)
        counts.withLock { counts in
            counts.total -= 1
            let rest = counts.byAddress[address, default: 1] - 1
            counts.byAddress[address] = rest > 0 ? rest : nil
        }
    }
}
