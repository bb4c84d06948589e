/// The last changes, numbered 1, 2, 3 … without holes within one epoch.
///
/// Pure. A ring: the oldest are dropped, and a reader who is further behind has to load everything again.
struct ChangeHistory: Sendable {
    /// A change and its number.
    struct Change: Sendable, Equatable {
        let version: Int
        let news: PresenceNews
    }

    /// The answer to a reader.
    enum Answer: Sendable, Equatable {
        /// Go on after `next`.
        case changes([Change], next: Int)
        /// What the reader knows is of another epoch or too old: load everything, then go on after `next`.
        case reset(next: Int)
        /// The reader has everything.
        case upToDate
    }

    /// Of this start of presence; random.
    let epoch: String
    /// The most changes kept.
    let changesMax: Int
    /// The number of the last change, 0 before the first.
    private(set) var version: Int = 0
    private var ring: [Change] = []

    init(epoch: String, changesMax: Int) {
        self.epoch = epoch
        self.changesMax = changesMax
    }

    /// How many changes are kept.
    var count: Int { ring.count }

    /// Numbers the news and keeps them.
    mutating func append(_ news: [PresenceNews]) {
        for item in news {
            version += 1
            let change = Change(version: version, news: item)
            if ring.count < changesMax { ring.append(change) } else { ring[slot(version)] = change }
        }
    }

    /// What follows `after`, at most `limit` changes.
    func answer(epoch: String, after: Int, limit: Int) -> Answer {
        let oldest = version - ring.count + 1
        guard epoch == self.epoch, after >= oldest - 1, after <= version else { return .reset(next: version) }
        guard after < version else { return .upToDate }
        let last = min(version, after + limit)
        return .changes((after + 1...last).map { ring[slot($0)] }, next: last)
    }

    private func slot(_ version: Int) -> Int { (version - 1) % changesMax }
}
