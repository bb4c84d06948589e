import Core
import Crypto
import Storage

/// The writer's statements: appends one entry within the running transaction.
///
/// On the writer's thread only.
final class LogEntries {
    private let connection: Connection
    /// A connection of its own: `BEGIN IMMEDIATE` would lock an attached index file against the indexer.
    private let index: Connection
    private let tail: LogTail
    private let insertEntry: Statement
    private let insertMember: Statement
    private let updateDelivered: Statement
    private var states = ConversationStates()
    private var nextRow: Int64
    private var nextConversation: Int64
    private var uncommitted: [LogTail.Item] = []

    init(connection: Connection, index: Connection, tail: LogTail) throws {
        self.connection = connection
        self.index = index
        self.tail = tail
        insertEntry = try connection.prepare("INSERT INTO log (i, c, q, h, b) VALUES (?, ?, ?, ?, ?)")
        insertMember = try connection.prepare("INSERT INTO member (u, c, delivered) VALUES (?, ?, ?)")
        updateDelivered = try connection.prepare(
            """
            UPDATE member SET delivered = max(delivered, ?3)
            WHERE u = ?1 AND c = (SELECT c FROM conversation WHERE name = ?2)
            """
        )
        nextRow = 0
        nextConversation = 0
        try loadCounters()
    }

    private func loadCounters() throws {
        nextRow = 1 + (try connection.first("SELECT max(i) FROM log") { $0.int64(0) } ?? 0)
        nextConversation = 1 + (try connection.first("SELECT max(c) FROM conversation") { $0.int64(0) } ?? 0)
    }

    // MARK: - One commit

    func beginCommit() {
        states.commit += 1
        uncommitted.removeAll(keepingCapacity: true)
    }

    /// The entries that the commit has made durable, for the tail.
    func endCommit() -> [LogTail.Item] { uncommitted }

    /// After a rollback: what memory says may be ahead of the file.
    func abandonCommit() {
        states.removeAll()
        uncommitted.removeAll(keepingCapacity: true)
        // The counters are ahead of the file at worst, which leaves holes in row numbers and nothing else.
    }

    /// Appends one entry, or finds the one that the same `client_id` made, and sets the outcome.
    func append(_ batch: AppendBatch, _ index: Int) throws {
        let append = batch.appends[index]
        let state = try state(of: append.conversationID)
        var hash: Int64 = 0
        if let clientID = append.clientID {
            switch try find(state, sender: append.sender, clientID: clientID) {
            case .known(let sequence, let stored):
                batch.appends[index].outcome = .repeated(sequence: sequence, stored: stored, audience: state.members)
                return
            case .free(let freeHash): hash = freeHash
            }
        }
        guard state.head < LogSchema.sequenceMax else {
            batch.appends[index].outcome = .failed(
                FrameProblem(code: .storageFull, message: "conversation_id: holds \(LogSchema.sequenceMax) entries")
            )
            return
        }
        let sequence = state.head + 1
        try join(state, append.sender)
        if let addressee = append.addressee { try join(state, addressee) }
        try insertEntry.bind(nextRow, at: 1)
        try insertEntry.bind(state.number, at: 2)
        try insertEntry.bind(Int64(sequence), at: 3)
        try insertEntry.bind(hash, at: 4)
        try insertEntry.bind(text: UnsafeRawBufferPointer(rebasing: batch.bytes.waiting[append.text]), at: 5)
        try insertEntry.run()
        uncommitted.append(
            LogTail.Item(conversation: state.number, sequence: sequence, row: nextRow, hash: hash)
        )
        nextRow += 1
        state.head = sequence
        if hash != 0 {
            state.sequences?[hash] = sequence
            states.addSequences(1)
        }
        batch.appends[index].outcome = .appended(sequence: sequence, audience: state.members)
    }

    func setDelivered(_ user: String, _ conversationID: String, _ sequence: Int) throws {
        try updateDelivered.bind([user, conversationID, Int64(sequence)])
        try updateDelivered.run()
    }

    // MARK: - Conversations

    private func join(_ state: ConversationState, _ user: String) throws {
        guard !state.members.contains(user) else { return }
        try insertMember.bind([user, state.number, Int64(0)])
        try insertMember.run()
        state.members.append(user)
    }

    private func state(of name: String) throws -> ConversationState {
        if let state = states[name] { return state }
        let state: ConversationState
        if let number = try connection.first("SELECT c FROM conversation WHERE name = ?", name, read: { $0.int64(0) }) {
            let members = try connection.rows("SELECT u FROM member WHERE c = ?", number) { $0.string(0) }
            state = ConversationState(number: number, name: name, head: try head(of: number), members: members)
        } else {
            try connection.run("INSERT INTO conversation (c, name) VALUES (?, ?)", nextConversation, name)
            state = ConversationState(number: nextConversation, name: name, head: 0, members: [])
            nextConversation += 1
        }
        states.insert(state)
        return state
    }

    /// The head of a conversation that is not in memory, whose entries are all committed therefore.
    private func head(of number: Int64) throws -> Int {
        if let head = tail.head(of: number) { return head }
        return try LogIndexQueries.head(of: number, index)
    }

    // MARK: - Idempotency

    private enum Found {
        case known(sequence: Int, stored: [UInt8])
        case free(hash: Int64)
    }

    private func find(_ state: ConversationState, sender: String, clientID: String) throws -> Found {
        let sequences = try sequences(of: state)
        var attempt = 0
        while true {
            let hash = ConversationState.hash(sender: sender, clientID: clientID, attempt: attempt)
            guard let sequence = sequences[hash] else { return .free(hash: hash) }
            // The entry may be part of this very commit: this connection sees it (DESIGN R8).
            let stored = try storedText(state.number, sequence)
            if StoredEntry.isFrom(stored, sender: sender, clientID: clientID) {
                return .known(sequence: sequence, stored: stored)
            }
            attempt += 1
        }
    }

    private func sequences(of state: ConversationState) throws -> [Int64: Int] {
        if let sequences = state.sequences { return sequences }
        // The tail first: what leaves it meanwhile is in the index by then. The other way round an entry that an index
        // run takes over in between would be in neither, and its repeat a second entry.
        let runs = tail.runs(of: state.number)
        var sequences = try LogIndexQueries.hashes(of: state.number, index)
        for run in runs {
            for (offset, hash) in run.hashes.enumerated() where hash != 0 { sequences[hash] = run.first + offset }
        }
        for item in uncommitted where item.conversation == state.number && item.hash != 0 {
            sequences[item.hash] = item.sequence
        }
        state.sequences = sequences
        states.addSequences(sequences.count)
        return sequences
    }

    private func storedText(_ conversation: Int64, _ sequence: Int) throws -> [UInt8] {
        let row =
            try uncommitted.last { $0.conversation == conversation && $0.sequence == sequence }?.row
            ?? tail.runs(of: conversation).lazy.compactMap { $0.row(of: sequence) }.first
            ?? LogIndexQueries.row(of: sequence, in: conversation, index)
        guard let row, let text = try connection.first("SELECT b FROM log WHERE i = ?", row, read: { $0.bytes(0) })
        else { throw SQLiteError(extendedCode: 11, message: "entry \(sequence) is not where the index has it") }
        return text
    }
}
