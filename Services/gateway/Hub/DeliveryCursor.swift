/// How far one connection is in one conversation (DESIGN invariant 2: once, in order).
///
/// Holds the last sequence sent. The next one is sent, an older one dropped, and a jump is filled by reading the log;
/// whatever the order of live entries, reads and reconnects, no entry is skipped or sent twice. Pure: it does no I/O.
struct DeliveryCursor: Equatable {
    /// What to do with an entry that is known to exist.
    enum Step: Equatable {
        /// It is the next one; it counts as sent. `isFirstMove`: the first since the last ping.
        case send(isFirstMove: Bool)
        /// Sent before, or not this connection's to have.
        case passed
        /// Not yet: entries between are missing, and must be read. `needsRead` when no read is under way.
        case behind(needsRead: Bool)
    }

    /// The last sequence sent; `nil` until the member's stored position is known.
    private(set) var sent: Int?
    /// The highest sequence that this connection is to be sent, as far as is known.
    private(set) var known = 0
    private(set) var isReading = false
    /// The lowest sequence that was heard of before the stored position was known.
    private(set) var firstKnown: Int?
    /// Where the user's membership ended, as far as is known.
    private var endedAt: Int?
    /// Whether `sent` has moved since the last ping.
    private(set) var isMoved = false

    init() {}

    init(sent: Int, known: Int) {
        self.sent = sent
        self.known = known
    }

    /// Whether the membership has ended and everything of it was sent; a later one begins with an entry past that.
    var isSettled: Bool { endedAt.map { $0 == known && $0 <= sent ?? 0 } ?? false }

    /// The user's membership has ended with this entry.
    mutating func end(at sequence: Int) { endedAt = sequence }

    /// Whether entries are known that were not sent.
    var isBehind: Bool { sent.map { $0 < known } ?? true }

    /// An entry exists, and is at hand.
    mutating func offer(_ sequence: Int) -> Step {
        note(head: sequence)
        guard let sent else { return behind() }
        if sequence <= sent { return .passed }
        guard sequence == sent + 1, !isReading else { return behind() }
        self.sent = sequence
        return .send(isFirstMove: move())
    }

    /// Notes a move; whether it is the first since the last ping.
    private mutating func move() -> Bool {
        defer { isMoved = true }
        return !isMoved
    }

    /// A ping goes out that covers what was sent so far.
    mutating func coverByPing() -> Int? {
        isMoved = false
        return sent
    }

    private func behind() -> Step { .behind(needsRead: !isReading) }

    /// The conversation is known to reach that far, for this connection.
    mutating func note(head: Int) {
        known = max(known, head)
        if sent == nil { firstKnown = min(firstKnown ?? head, head) }
    }

    /// The stored position, when it is needed and arrives.
    ///
    /// Never moves back.
    mutating func place(at position: Int, head: Int) {
        known = max(known, head)
        sent = max(sent ?? 0, position)
        isReading = false
    }

    /// A read of what follows `sent` begins.
    mutating func beginReading() { isReading = true }

    mutating func endReading() { isReading = false }

    /// An entry that a read brought: `.send` when it is the next one, which then counts as sent; else `.passed`.
    ///
    /// What lies past `known` was committed meanwhile and is offered by itself, or came after the user's membership.
    mutating func takeRead(_ sequence: Int) -> Step {
        guard let sent, sequence == sent + 1, sequence <= known else { return .passed }
        self.sent = sequence
        return .send(isFirstMove: move())
    }
}
