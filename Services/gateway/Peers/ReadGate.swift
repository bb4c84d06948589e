/// How many reads of the log a loop has under way: pure.
///
/// A storm of reconnecting clients waits here and not in the log, where it would hold up what is live; what is urgent
/// goes first. Bounded by its callers: a connection has one read at a time, a conversation one for its hints.
struct ReadGate<Job> {
    private let underWayMax: Int
    private var underWay = 0
    private var urgent: ArraySlice<Job> = []
    private var waiting: ArraySlice<Job> = []

    init(underWayMax: Int) { self.underWayMax = underWayMax }

    var waitingCount: Int { urgent.count + waiting.count }

    /// A read is wanted.
    ///
    /// - Returns: It, when it is to begin at once; else it comes from `end` when it is its turn.
    mutating func begin(_ job: Job, isUrgent: Bool) -> Job? {
        guard underWay >= underWayMax else {
            underWay += 1
            return job
        }
        if isUrgent { urgent.append(job) } else { waiting.append(job) }
        return nil
    }

    /// A read was answered.
    ///
    /// - Returns: The next one to begin.
    mutating func end() -> Job? {
        if let next = urgent.popFirst() ?? waiting.popFirst() { return next }
        underWay -= 1
        return nil
    }
}
