import Contracts

/// Routing decisions whose entry is not in the log yet, each offered to one asker at a time, again and again until it
/// is there (DESIGN R9).
///
/// Pure: time comes in.
struct DecisionOffers: Sendable {
    /// How long whoever was offered a decision has for it before another asker gets it too.
    static let pause: Milliseconds = 2000

    private struct Offer {
        let decision: RoutingDecision
        let order: Int
        var dueAt: Milliseconds
    }

    private var offers: [String: Offer] = [:]
    private var added = 0

    var count: Int { offers.count }

    /// Offers the decision from `dueAt` on.
    mutating func add(_ decision: RoutingDecision, dueAt: Milliseconds) {
        added += 1
        offers[decision.decisionID] = Offer(decision: decision, order: added, dueAt: dueAt)
    }

    /// The decision is in the log.
    mutating func remove(_ decisionID: String) { offers[decisionID] = nil }

    /// Whether there is a decision to offer now.
    func isDue(now: Milliseconds) -> Bool { offers.values.contains { $0.dueAt <= now } }

    /// The decisions to offer now, oldest first; the same ones are due again after the pause.
    mutating func take(now: Milliseconds, limit: Int) -> [RoutingDecision] {
        let due = offers.values.filter { $0.dueAt <= now }.sorted { $0.order < $1.order }.prefix(limit)
        for offer in due { offers[offer.decision.decisionID]?.dueAt = now + Self.pause }
        return due.map(\.decision)
    }
}
