/// Keeps a user's status changes in order while they are being stored: one that was overtaken by a later one must not
/// be shown after it.
///
/// It also knows whose stored status is not known for sure, so that what is shown need not be what is stored.
struct StatusOrder: Sendable {
    /// Users whose last change failed; with as many of them nobody's stored status counts as known.
    private static let unsureMax = 10_000

    private var lastTurn = 0
    private var inFlight = 0
    private var shown: [String: Int] = [:]
    private var unsure: Set<String> = []

    /// Takes a place in the order, before the change is stored.
    mutating func begin() -> Int {
        lastTurn += 1
        inFlight += 1
        return lastTurn
    }

    /// Whether the change of this turn, now stored, is the newest of the user's.
    mutating func isNewest(_ turn: Int, of userID: String) -> Bool {
        guard turn > shown[userID, default: 0] else { return false }
        shown[userID] = turn
        return true
    }

    /// Whether what is shown of the user is what is stored, and stays so: nothing is being stored.
    func isSettled(_ userID: String) -> Bool {
        inFlight == 0 && unsure.count < Self.unsureMax && !unsure.contains(userID)
    }

    /// Whether the user's change was stored; one that failed may have been all the same.
    mutating func noteStored(_ isStored: Bool, of userID: String) {
        guard unsure.count < Self.unsureMax else { return }
        if isStored { unsure.remove(userID) } else { unsure.insert(userID) }
    }

    /// Gives the place up; with nothing in flight there is no order to keep.
    mutating func end() {
        inFlight -= 1
        if inFlight == 0 { shown = [:] }
    }
}
