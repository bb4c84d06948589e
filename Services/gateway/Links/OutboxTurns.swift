/// Which items of the outbox this gateway sees to: pure.
///
/// Its own at once, and again until they are settled; what others have appended only when it has been there for some
/// time, since who appended it sees to it, unless that gateway is gone. Doing an item twice does no harm; it only
/// should not be the rule. Alone it sees to everything.
struct OutboxTurns {
    /// How long another gateway's item is left to it, in milliseconds: longer than a request with its repeats.
    static let patience: Int64 = 5000
    /// How much longer by chance, so that not all the others come at once.
    static let patienceSpread: Int64 = 5000
    /// Items that are known; of more none is left to others.
    static let itemsMax = 100_000

    private struct Seen {
        let dueAt: Int64
        var round: Int
    }

    /// Each with the round in which it was appended, or shown last.
    private var own: [Int64: Int] = [:]
    private var seen: [Int64: Seen] = [:]
    private var round = 0

    /// An item that was appended here.
    mutating func appended(_ number: Int64) {
        if own.count < Self.itemsMax { own[number] = round }
    }

    /// An item that the outbox holds: whether to see to it now.
    ///
    /// - Parameters:
    ///   - now: A monotonic time, in milliseconds.
    ///   - isAlone: Whether there is no other gateway.
    mutating func isDue(_ number: Int64, now: Int64, isAlone: Bool) -> Bool {
        if own[number] != nil {
            own[number] = round
            return true
        }
        if isAlone { return true }
        if let known = seen[number] {
            seen[number]?.round = round
            return now >= known.dueAt
        }
        guard seen.count < Self.itemsMax else { return true }
        let dueAt = now + Self.patience + Int64.random(in: 0..<Self.patienceSpread)
        seen[number] = Seen(dueAt: dueAt, round: round)
        return false
    }

    mutating func settled(_ number: Int64) { own[number] = nil }

    /// The whole outbox was read: what it does not hold any more is forgotten, own ones that another gateway has
    /// settled too; those that were appended meanwhile it need not have shown.
    mutating func endRound() {
        own = own.filter { $0.value == round }
        seen = seen.filter { $0.value.round == round }
        round += 1
    }
}
