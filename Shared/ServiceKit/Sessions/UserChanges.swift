/// Which accounts have changed, so that what was asked about them before is not kept after: pure.
///
/// Take `mark` before asking; the answer may be kept as long as the user is unchanged since. Takes constant time, and
/// is bounded: when more have changed than it holds, everybody counts as changed.
package struct UserChanges: Sendable {
    /// The most users held.
    package static let usersMax = 10_000

    private let usersMax: Int
    private var numbers: [String: Int] = [:]
    /// Of the last change of everybody.
    private var everybody = 0
    /// How many changes there were.
    package private(set) var mark = 0

    /// - Parameter usersMax: The most users held.
    package init(usersMax: Int = UserChanges.usersMax) { self.usersMax = usersMax }

    /// The user's account has changed, or is gone.
    package mutating func note(_ userID: String) {
        guard numbers.count < usersMax else { return noteAll() }
        mark += 1
        numbers[userID] = mark
    }

    /// Changes may have been missed.
    package mutating func noteAll() {
        mark += 1
        everybody = mark
        numbers = [:]
    }

    /// Whether nothing is known to have changed about the user since `mark` was read.
    package func isUnchanged(_ userID: String, since mark: Int) -> Bool {
        everybody <= mark && numbers[userID, default: 0] <= mark
    }
}
