/// Failures by key in a sliding window, and how long the next attempt must wait.
///
/// Below `failuresMax` failures in the window an attempt is free. From then on it must wait after the last one: 1 s,
/// and twice as long with each further failure, up to the window. Who tries again as soon as it may gets some
/// `failuresMax` + log2(window in seconds) attempts in a window.
struct FailureTable {
    /// The times of each key's failures, ascending; some may be older than the window.
    private var failures: [String: [Int64]] = [:]
    private let failuresMax: Int
    private let windowMilliseconds: Int64
    private let keysMax: Int
    /// Failures held by a key: with that many the wait is the whole window, so that more make no difference.
    private let heldMax: Int

    /// The wait after `failuresMax` failures.
    static let firstWaitMilliseconds: Int64 = 1000

    /// - Parameters:
    ///   - failuresMax: Failures in a window after which attempts must wait; at least 1.
    ///   - windowMilliseconds: How long a failure counts.
    ///   - keysMax: Keys held. Past it, a quarter is forgotten, those with the fewest failures first.
    init(failuresMax: Int, windowMilliseconds: Int64, keysMax: Int) {
        precondition(failuresMax > 0 && windowMilliseconds > 0 && keysMax > 0)
        self.failuresMax = failuresMax
        self.windowMilliseconds = windowMilliseconds
        self.keysMax = keysMax
        var doublings = 0
        while Self.firstWaitMilliseconds << doublings < windowMilliseconds { doublings += 1 }
        heldMax = failuresMax + doublings
    }

    /// Keys held.
    var count: Int { failures.count }

    /// Failures held by a key, those older than the window included.
    func heldCount(_ key: String) -> Int { failures[key]?.count ?? 0 }

    /// Milliseconds until an attempt is allowed, if no failure is added until then; `nil` if it is now.
    func wait(_ key: String, now: Int64) -> Int64? {
        guard let times = failures[key], times.count >= failuresMax, let last = times.last else { return nil }
        // With the last of the excess out of the window it is free again…
        let excess = times.count - failuresMax
        var earliest = times[excess] + windowMilliseconds
        // …and before that when the wait is over that goes with the failures left.
        for gone in 0...excess {
            let isOut = gone == 0 ? now : times[gone - 1] + windowMilliseconds
            earliest = min(earliest, max(isOut, last + wait(after: times.count - gone)))
        }
        return earliest > now ? earliest - now : nil
    }

    /// Counts a failure, whether or not the attempt was allowed.
    mutating func count(_ key: String, now: Int64) {
        if failures[key] == nil, failures.count >= keysMax { makeRoom(now) }
        var times = failures.removeValue(forKey: key) ?? []
        let gone = times.firstIndex { now - $0 < windowMilliseconds } ?? times.endIndex
        times.removeFirst(max(gone, times.count + 1 - heldMax))
        times.append(now)
        failures[key] = times
    }

    /// Takes back one failure that was counted at `time`.
    mutating func giveBack(_ key: String, countedAt time: Int64) {
        guard let index = failures[key]?.lastIndex(of: time) else { return }
        failures[key]?.remove(at: index)
        if failures[key]?.isEmpty == true { failures[key] = nil }
    }

    /// Takes all failures of a key back.
    mutating func reset(_ key: String) { failures[key] = nil }

    /// The wait after the last of `count` failures, at least `failuresMax` of them.
    private func wait(after count: Int) -> Int64 {
        min(windowMilliseconds, Self.firstWaitMilliseconds << (count - failuresMax))
    }

    private mutating func makeRoom(_ now: Int64) {
        let ranks = failures.compactMap { key, times -> (key: String, count: Int, last: Int64)? in
            let counted = times.count { now - $0 < windowMilliseconds }
            return times.last.map { (key, counted, $0) }
        }
        let offenders = ranks.filter { $0.count > 0 }.sorted { ($0.count, $0.last) > ($1.count, $1.last) }
        let kept = Set(offenders.prefix(keysMax - keysMax / 4 - 1).map(\.key))
        failures = failures.filter { kept.contains($0.key) }
    }
}
