/// Keeps a user's status changes in order while they are being stored: one that was overtaken by a later one must not
/// be shown after it.
struct StatusOrder: Sendable {
    private var lastTurn = 0
    private var inFlight = 0
    private var shown: [String: Int] = [:]

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

    /// Gives the place up; with nothing in flight there is no order to keep.
    mutating func end() {
        inFlight -= 1
        if inFlight == 0 { shown = [:] }
    }
}
