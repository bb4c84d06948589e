import Core
import Crypto
import Storage

/// Appends entries within the writer's running transaction, and works out what each does to its conversation.
///
/// On the writer's thread only.
final class LogEntries {
    /// The entries past the head that a closing agent knew, in which a customer's message is looked for; in a longer
    /// stretch one is taken for granted, and the conversation asks for an agent again.
    private static let closeSpan = 1000

    private let rows: ConversationRows
    private let lookup: EntryLookup
    private let recall: MessageRecall
    private let insertEntry: Statement
    private var conversations = LoadedConversations()
    private var nextRow: Int64
    /// Outbox items that the running commit has taken out again.
    private var removedItems: Set<Int64> = []

    init(connection: Connection, index: Connection, tail: LogTail) throws {
        rows = try ConversationRows(connection: connection)
        lookup = EntryLookup(connection: connection, index: index, tail: tail)
        recall = MessageRecall(connection: connection, lookup: lookup)
        insertEntry = try connection.prepare("INSERT INTO log (i, c, q, h, b) VALUES (?, ?, ?, ?, ?)")
        nextRow = 1 + (try connection.first("SELECT max(i) FROM log") { $0.int64(0) } ?? 0)
    }

    // MARK: - One commit

    func beginCommit() {
        conversations.commit += 1
        lookup.beginCommit()
        removedItems.removeAll()
    }

    /// After the commit: the entries that it has made durable, for the tail.
    ///
    /// What one of its entries made due and a later one has seen to is taken out of `batches`.
    func endCommit(_ batches: [AppendBatch]) -> [LogTail.Item] {
        if !removedItems.isEmpty {
            for batch in batches { batch.due.removeAll { removedItems.contains($0.number) } }
        }
        return lookup.uncommitted
    }

    /// After a rollback: what memory says may be ahead of the file.
    func abandonCommit() {
        conversations.removeAll()
        lookup.beginCommit()
        // The counters are ahead of the file at worst, which leaves holes in row numbers and nothing else.
    }

    /// Appends one entry, or finds the one that the same `client_id` made, and sets the outcome.
    func append(_ batch: AppendBatch, _ index: Int) throws {
        let append = batch.appends[index]
        let known = try conversation(append.conversationID)
        var hash: Int64 = 0
        if let clientID = append.clientID {
            switch try find(known, sender: append.sender, clientID: clientID) {
            case .known(let sequence, let stored):
                guard StoredEntry.isChat(stored) == (append.kind == .chat) else {
                    batch.appends[index].outcome = .failed(.clientIDReused)
                    return
                }
                return try repeated(batch, index, known, sequence, stored)
            case .free(let freeHash): hash = freeHash
            }
        }
        var recalled: MessageRecall.Target?
        if case .recall(let target) = append.kind {
            let text = UnsafeRawBufferPointer(rebasing: batch.bytes.waiting[append.text])
            let now = StoredEntry.Glance(text).timestamp
            switch try recall.judge(target, in: known, by: append.sender, at: now) {
            case .allowed(let found): recalled = found
            case .repeated(let sequence, let stored): return try repeated(batch, index, known, sequence, stored)
            case .refused(let problem):
                batch.appends[index].outcome = .failed(problem)
                return
            }
        }
        let conversation = known ?? begin(append.conversationID)
        guard conversation.head < LogSchema.sequenceMax else {
            batch.appends[index].outcome = .failed(
                .conversationFull
            )
            return
        }
        let text = batch.completedText(of: append, agent: conversation.state.agent)
        batch.appends[index].text = text
        try insert(batch.bytes.waiting[text], conversation, hash)
        try take(append, batch, index, conversation, isNew: known == nil)
        if let recalled, let file = try recall.rewrite(recalled, recalledBy: conversation.head) {
            try revoke(file, conversation, batch)
        }
    }

    private func insert(
        _ text: Slice<UnsafeRawBufferPointer>,
        _ conversation: LoadedConversation,
        _ hash: Int64
    ) throws {
        let sequence = conversation.head + 1
        try insertEntry.bind(nextRow, at: 1)
        try insertEntry.bind(conversation.number, at: 2)
        try insertEntry.bind(Int64(sequence), at: 3)
        try insertEntry.bind(hash, at: 4)
        try insertEntry.bind(text: UnsafeRawBufferPointer(rebasing: text), at: 5)
        try insertEntry.run()
        lookup.note(LogTail.Item(conversation: conversation.number, sequence: sequence, row: nextRow, hash: hash))
        nextRow += 1
        conversation.head = sequence
        if hash != 0 {
            conversation.sequences?[hash] = sequence
            conversations.addSequences(1)
        }
    }

    /// What the appended entry does to members, agent and routing.
    private func take(
        _ append: Append,
        _ batch: AppendBatch,
        _ index: Int,
        _ conversation: LoadedConversation,
        isNew: Bool
    ) throws {
        let sequence = conversation.head
        if case .closed(let asked) = append.kind { try findLastAsked(conversation, after: asked) }
        let change = conversation.state.take(append, at: sequence)
        batch.appends[index].outcome = .appended(sequence: sequence, audience: change.audience)
        if isNew { try rows.insert(conversation, at: nextRow - 1) }
        guard !change.isEmpty else { return }
        if !isNew { try rows.store(change, of: conversation, at: nextRow - 1) }
        try rows.storeMembers(change, of: conversation, at: sequence)
        if change.isNeedDropped, let number = conversation.needNumber {
            // One that takes its place gets a number of its own: the answer to the old one says nothing about it.
            removedItems.insert(number)
            conversation.needNumber = nil
            try rows.remove(number)
        }
        if let need = change.need {
            let item = try rows.put(.route(need), for: conversation)
            conversation.needNumber = item.number
            batch.due.append(item)
        }
        if let agentID = change.answeredBy {
            let work = OutboxItem.Work.answered(
                conversationID: append.conversationID,
                agentID: agentID,
                sequence: sequence
            )
            batch.due.append(try rows.put(work, for: conversation))
        }
    }

    private func repeated(
        _ batch: AppendBatch,
        _ index: Int,
        _ conversation: LoadedConversation?,
        _ sequence: Int,
        _ stored: [UInt8]
    ) throws {
        guard let conversation else { return }
        let state = conversation.state
        batch.appends[index].outcome = .repeated(sequence: sequence, stored: stored, audience: state.members)
        guard batch.appends[index].kind == .chat else { return }
        // DESIGN R1: routing again, and what the repeat's file was just granted is not to stay with a recalled message.
        if let need = state.need, let number = conversation.needNumber {
            batch.due.append(OutboxItem(number: number, work: .route(need)))
        }
        if let file = batch.appends[index].file, StoredEntry.isRecalled(stored) {
            try revoke(file, conversation, batch)
        }
    }

    private func revoke(_ file: GrantedFile, _ conversation: LoadedConversation, _ batch: AppendBatch) throws {
        // A new number here too: the file may have been granted again since the outstanding one was seen to.
        if let number = try rows.removeRevoke(of: file) { removedItems.insert(number) }
        batch.due.append(try rows.put(.revoke(file), for: conversation))
    }

    // MARK: - Receipts, and what is settled

    /// Stores a receipt.
    ///
    /// - Returns: `nil` when nothing has moved: not a member, or there already.
    func move(_ receipt: GatheredReceipt, of user: String, in conversationID: String) throws -> PositionMove? {
        guard let conversation = try conversation(conversationID) else { return nil }
        return try rows.move(receipt, of: user, in: conversation)
    }

    /// Takes an item out of the outbox.
    func settle(_ number: Int64) throws {
        removedItems.insert(number)
        guard let name = try rows.remove(number), let conversation = try conversation(name) else { return }
        conversation.state.settleNeed()
        conversation.needNumber = nil
        try rows.storeRouted(conversation)
    }

    // MARK: - Conversations

    private func conversation(_ name: String) throws -> LoadedConversation? {
        if let conversation = conversations[name] { return conversation }
        guard let found = try rows.find(name) else { return nil }
        let conversation = LoadedConversation(
            number: found.number,
            name: name,
            head: try lookup.head(of: found.number),
            state: found.state,
            needNumber: found.needNumber
        )
        conversations.insert(conversation)
        return conversation
    }

    private func begin(_ name: String) -> LoadedConversation {
        let conversation = LoadedConversation(
            number: rows.newNumber(),
            name: name,
            head: 0,
            state: ConversationState(conversationID: name)
        )
        conversation.sequences = [:]
        conversations.insert(conversation)
        return conversation
    }

    /// Makes the state know of a customer's message past `asked`, if there is one.
    private func findLastAsked(_ conversation: LoadedConversation, after asked: Int) throws {
        // The closing entry itself is the head already.
        let last = conversation.head - 1
        guard let customer = conversation.state.customer, conversation.state.lastAsked == nil, asked < last else {
            return
        }
        let first = max(asked, 0) + 1
        for sequence in (max(first, last - Self.closeSpan + 1)...last).reversed() {
            let text = try lookup.entry(sequence, of: conversation.number).text
            let isAsking = text.withUnsafeBytes { bytes in
                let glance = StoredEntry.Glance(bytes)
                return glance.isChat && glance.isFrom(customer)
            }
            if isAsking {
                conversation.state.lastAsked = sequence
                return
            }
        }
        if last - first >= Self.closeSpan { conversation.state.lastAsked = last }
    }

    // MARK: - Idempotency

    private enum Found {
        case known(sequence: Int, stored: [UInt8])
        case free(hash: Int64)
    }

    private func find(_ conversation: LoadedConversation?, sender: String, clientID: String) throws -> Found {
        let sequences = try conversation.map(sequences(of:)) ?? [:]
        var attempt = 0
        while true {
            let hash = LoadedConversation.hash(sender: sender, clientID: clientID, attempt: attempt)
            guard let conversation, let sequence = sequences[hash] else { return .free(hash: hash) }
            // The entry may be part of this very commit: this connection sees it (DESIGN R8).
            let stored = try lookup.entry(sequence, of: conversation.number).text
            if StoredEntry.isFrom(stored, sender: sender, clientID: clientID) {
                return .known(sequence: sequence, stored: stored)
            }
            attempt += 1
        }
    }

    private func sequences(of conversation: LoadedConversation) throws -> [Int64: Int] {
        if let sequences = conversation.sequences { return sequences }
        let sequences = try lookup.hashes(of: conversation.number)
        conversation.sequences = sequences
        conversations.addSequences(sequences.count)
        return sequences
    }
}
