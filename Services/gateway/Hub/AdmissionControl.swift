import Core
import Synchronization

/// Counts the open connections of this gateway, in all and by address, and refuses those over the limit.
final class AdmissionControl: Sendable {
    private struct Counts {
        var total = 0
        var byAddress: [String: Int] = [:]
    }

    private let connectionsMax: Int
    private let perAddressMax: Int
    private let counts = Mutex(Counts())

    init(connectionsMax: Int, perAddressMax: Int) {
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
    }

    var total: Int { counts.withLock { $0.total } }

    /// Takes a place, which `leave` gives back.
    ///
    /// - Throws: `Problem` 503 when the gateway is full, 429 when the address has too many.
    func enter(_ address: String) throws(Problem) {
        let problem = counts.withLock { counts -> Problem? in
            guard counts.total < connectionsMax else {
                let retry = Problem.Header("Retry-After", "5")
                return Problem(503, .tooManyConnections, "this gateway is full", headers: [retry])
            }
            guard counts.byAddress[address, default: 0] < perAddressMax else {
                let retry = Problem.Header("Retry-After", "30")
                return Problem(429, .tooManyConnections, "your address: too many connections", headers: [retry])
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
