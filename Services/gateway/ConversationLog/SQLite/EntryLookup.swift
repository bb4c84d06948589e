import Storage

/// Finds stored entries for the writer: those of the running commit, of the tail, and indexed ones.
///
/// On the writer's thread only.
final class EntryLookup {
    private let connection: Connection
    /// A connection of its own: `BEGIN IMMEDIATE` would lock an attached index file against the indexer.
    private let index: Connection
    private let tail: LogTail
    /// What the running commit has appended.
    private(set) var uncommitted: [LogTail.Item] = []

    init(connection: Connection, index: Connection, tail: LogTail) {
        self.connection = connection
        self.index = index
        self.tail = tail
    }

    /// Forgets what the last commit has appended: it is in the tail, or was rolled back.
    func beginCommit() { uncommitted.removeAll(keepingCapacity: true) }

    func note(_ item: LogTail.Item) { uncommitted.append(item) }

    /// The head of a conversation that is not in memory, whose entries are all committed therefore.
    func head(of conversation: Int64) throws -> Int {
        if let head = tail.head(of: conversation) { return head }
        return try LogIndexQueries.head(of: conversation, index)
    }

    /// Where an entry that exists lies in the log, and its text.
    func entry(_ sequence: Int, of conversation: Int64) throws -> (row: Int64, text: [UInt8]) {
        let row =
            try uncommitted.last { $0.conversation == conversation && $0.sequence == sequence }?.row
            ?? tail.runs(of: conversation).lazy.compactMap { $0.row(of: sequence) }.first
            ?? LogIndexQueries.row(of: sequence, in: conversation, index)
        guard let row, let text = try connection.first("SELECT b FROM log WHERE i = ?", row, read: { $0.bytes(0) })
        else { throw SQLiteError(extendedCode: 11, message: "entry \(sequence) is not where the index has it") }
        return (row, text)
    }

    /// A conversation's sequences by idempotency hash.
    func hashes(of conversation: Int64) throws -> [Int64: Int] {
        // The tail first: what leaves it meanwhile is in the index by then. The other way round an entry that an index
        // run takes over in between would be in neither, and its repeat a second entry.
        let runs = tail.runs(of: conversation)
        var sequences = try LogIndexQueries.hashes(of: conversation, index)
        for run in runs {
            for (offset, hash) in run.hashes.enumerated() where hash != 0 { sequences[hash] = run.first + offset }
        }
        for item in uncommitted where item.conversation == conversation && item.hash != 0 {
            sequences[item.hash] = item.sequence
        }
        return sequences
    }
}
