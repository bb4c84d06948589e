import Core

/// When sockets are to be looked at because their session ends, or is soon to: pure.
///
/// Due times lie in buckets of `bucketMilliseconds`, so that a look costs what is due and not what is open. Who lives
/// longer than it was entered for is taken out all the same when that comes, and entered again.
struct ExpiryTable {
    /// How much later than it is due an entry may be taken, beside the time between two looks.
    static let bucketMilliseconds: Int64 = 50

    /// By due time, rounded up to whole buckets.
    private var buckets: [Int64: Set<UInt64>] = [:]
    private var places: [UInt64: Int64] = [:]
    /// The last bucket that was taken.
    private var reached = Int64.min

    /// How many are entered.
    var count: Int { places.count }

    /// Enters a number; one that is entered already only moves to an earlier time.
    mutating func enter(_ number: UInt64, due: Timestamp) {
        let bucket = max((due.milliseconds + Self.bucketMilliseconds - 1) / Self.bucketMilliseconds, reached + 1)
        if let place = places[number] {
            guard bucket < place else { return }
            remove(number)
        }
        places[number] = bucket
        buckets[bucket, default: []].insert(number)
    }

    /// Takes a number out; one that is not entered is no error.
    mutating func remove(_ number: UInt64) {
        guard let bucket = places.removeValue(forKey: number) else { return }
        buckets[bucket]?.remove(number)
        if buckets[bucket]?.isEmpty == true { buckets[bucket] = nil }
    }

    /// Takes out those that are due.
    mutating func takeDue(now: Timestamp) -> [UInt64] {
        let last = now.milliseconds / Self.bucketMilliseconds
        // A clock that was set back: what is entered from here on goes by it.
        guard last > reached else {
            reached = last
            return []
        }
        let due: [Int64]
        if reached == .min || last - reached > buckets.count {
            due = buckets.keys.filter { $0 <= last }.sorted()
        } else {
            due = (reached + 1...last).filter { buckets[$0] != nil }
        }
        reached = last
        let numbers = due.flatMap { buckets.removeValue(forKey: $0) ?? [] }
        for number in numbers { places[number] = nil }
        return numbers
    }
}
