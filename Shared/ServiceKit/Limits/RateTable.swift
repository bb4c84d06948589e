/// How often something may happen by key: a burst of `eventsMax`, given back evenly over a window.
///
/// The generic cell rate algorithm: one number a key, the time at which it will be as if it had never happened.
package struct RateTable {
    private var clearAt: [String: Int64] = [:]
    private let windowMilliseconds: Int64
    private let intervalMilliseconds: Int64
    private let keysMax: Int

    /// - Parameters:
    ///   - eventsMax: Events at once, and in each window; at least 1.
    ///   - windowMilliseconds: The window, at least `eventsMax`.
    ///   - keysMax: Keys held. Past it, the quarter nearest to being clear is forgotten, the least of offenders.
    package init(eventsMax: Int, windowMilliseconds: Int64, keysMax: Int) {
        precondition(eventsMax > 0 && keysMax > 0)
        intervalMilliseconds = max(1, windowMilliseconds / Int64(eventsMax))
        self.windowMilliseconds = intervalMilliseconds * Int64(eventsMax)
        self.keysMax = keysMax
    }

    /// Keys held.
    package var count: Int { clearAt.count }

    /// Milliseconds until one more event is allowed; `nil` if it is now.
    package func wait(_ key: String, now: Int64) -> Int64? {
        guard let clear = clearAt[key] else { return nil }
        let wait = clear + intervalMilliseconds - windowMilliseconds - now
        return wait > 0 ? wait : nil
    }

    /// Counts an event, allowed or not.
    package mutating func count(_ key: String, now: Int64) {
        if clearAt[key] == nil, clearAt.count >= keysMax { makeRoom(now) }
        clearAt[key] = max(clearAt[key] ?? now, now) + intervalMilliseconds
    }

    private mutating func makeRoom(_ now: Int64) {
        clearAt = clearAt.filter { $0.value > now }
        guard clearAt.count >= keysMax else { return }
        let surplus = clearAt.count - keysMax + keysMax / 4 + 1
        for (key, _) in clearAt.sorted(by: { $0.value < $1.value }).prefix(surplus) { clearAt[key] = nil }
    }
}
