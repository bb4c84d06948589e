import Contracts
import Core

/// Agents' reads of customers' conversations that auth is still to be told of: pure.
///
/// Of an agent's reads of a conversation in one minute the first is kept.
struct AuditQueue {
    /// The most entries that wait; one more drops the oldest.
    static let waitingMax = 10_000
    /// The most reads of a minute that are known; past it some are told again.
    static let readsMax = 10_000

    /// What is told in one report.
    struct Batch {
        let entries: [AuditReport.Entry]
        /// The number of the first.
        fileprivate let first: Int
    }

    private struct Read: Hashable {
        let agentID: String
        let conversationID: String
    }

    private var waiting: ArraySlice<AuditReport.Entry> = []
    /// The number of the first that waits; they count up.
    private var first = 0
    private var reads: Set<Read> = []
    /// The minute of `reads`.
    private var minute: Int64 = 0

    /// How many wait.
    var count: Int { waiting.count }

    /// Adds an entry, unless its minute has one.
    ///
    /// - Returns: How many had to be dropped for it.
    mutating func add(_ entry: AuditReport.Entry) -> Int {
        let minute = entry.at.milliseconds / 60_000
        if minute != self.minute || reads.count >= Self.readsMax { reads = [] }
        self.minute = minute
        let read = Read(agentID: entry.actorID, conversationID: entry.conversationID)
        guard reads.insert(read).inserted else { return 0 }
        waiting.append(entry)
        guard waiting.count > Self.waitingMax else { return 0 }
        return drop(through: first + 1)
    }

    /// What is to be told next, the same until `end`; `nil` when nothing waits.
    func next() -> Batch? {
        guard !waiting.isEmpty else { return nil }
        return Batch(entries: Array(waiting.prefix(AuditReport.entriesMax)), first: first)
    }

    /// A batch is stored, or given up.
    ///
    /// - Returns: How many of it still waited: some may have been dropped meanwhile.
    @discardableResult
    mutating func end(_ batch: Batch) -> Int { drop(through: batch.first + batch.entries.count) }

    private mutating func drop(through number: Int) -> Int {
        let count = max(number - first, 0)
        waiting = waiting.dropFirst(count)
        first += count
        return count
    }
}
