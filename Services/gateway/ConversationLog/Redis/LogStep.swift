import Redis

/// One change of a conversation's state, worked out: what is announced before it, what it does, what is withdrawn
/// after.
struct LogStep {
    private let conversationID: String
    private let before: ConversationState
    private let look: RedisLogCore.Look
    private let oldPlace: Int
    private var place: Int
    var state: ConversationState
    private(set) var plan: LogPlan
    private(set) var changesState = false
    private(set) var needNumber: Int?
    /// The masked text of the message that is recalled.
    private(set) var mask: [UInt8] = []
    private var recalled: [UInt8]?
    private(set) var items: [OutboxItem] = []
    /// Numbers that are out of the outbox after it.
    private(set) var dropped: [Int] = []
    private var isMoved = false

    init(_ conversation: KnownConversation, _ state: ConversationState, _ look: RedisLogCore.Look) {
        conversationID = conversation.name
        before = state
        self.state = state
        self.look = look
        needNumber = conversation.needNumber
        oldPlace = conversation.place
        place = conversation.place
        plan = LogPlan(version: conversation.version, head: -1)
        plan.agent = state.agent ?? ""
    }

    var newVersion: Int { plan.version + (changesState ? 1 : 0) }

    var stored: StoredConversation { StoredConversation(state, needNumber: needNumber, place: place) }

    // MARK: - What it does

    /// The step takes a message's content away.
    mutating func recall(_ target: Int, _ text: [UInt8]) {
        plan.target = target
        recalled = text
    }

    /// The step appends this entry.
    ///
    /// - Returns: Who gets it.
    mutating func take(_ append: Append) -> [String] {
        let sequence = look.head + 1
        plan.head = look.head
        let isNew = plan.version == 0
        let change = state.take(append, at: sequence)
        changesState = isNew || !change.isEmpty
        isMoved = isNew || change.extent == .place
        if isMoved { place = look.number - 2 }
        plan.agent = state.agent ?? ""
        plan.joined = change.joined
        plan.start = change.start
        plan.ended = change.ended
        if change.isNeedDropped {
            if let needNumber { dropped.append(needNumber) }
            needNumber = nil
        }
        if let need = change.need {
            needNumber = look.number - 1
            items.append(OutboxItem(number: Int64(look.number - 1), work: .route(need)))
        }
        if let agentID = change.answeredBy {
            put(.answered(conversationID: conversationID, agentID: agentID, sequence: sequence))
        }
        if let recalled {
            mask = RecalledEntry.text(of: recalled, recalledBy: sequence)
            if let file = GrantedFile(storedText: recalled) { revoke(file) }
        }
        return change.audience
    }

    /// The step makes it due that a file's grant is taken back, under a new number: it may have been granted again
    /// since the outstanding one was seen to.
    mutating func revoke(_ file: GrantedFile) {
        let work = OutboxItem.Work.revoke(file)
        for (number, stored) in look.due where stored == StoredWork(work) {
            dropped.append(number)
            plan.dropped.append(String(number))
        }
        put(work)
    }

    /// Presence's stored answer knows the conversation.
    mutating func settleNeed() {
        state.settleNeed()
        changesState = true
        if let needNumber { dropped.append(needNumber) }
        needNumber = nil
    }

    private mutating func put(_ work: OutboxItem.Work) {
        items.append(OutboxItem(number: Int64(look.number), work: work))
        // JSON of plain strings and numbers cannot fail.
        plan.due[String(look.number)] = try? StoredWork(work)?.json()
    }

    // MARK: - Indexes

    /// Written before the step.
    var announcements: [RedisCommand] {
        let version = plan.version + 1
        var commands = plan.joined.map { LogIndex.join($0, conversationID, version: version) }
        if isMoved {
            let entry = LogIndex.Entry(number: place, version: version, conversationID: conversationID)
            commands += LogIndex.lists(conversationID, state).map { entry.put(into: $0) }
        }
        for item in items {
            let entry = LogIndex.Entry(number: Int(item.number), version: version, conversationID: conversationID)
            commands.append(entry.put(into: LogIndex.outbox))
        }
        return commands
    }

    /// Written when the step was forestalled, and never will be done.
    var retractions: [RedisCommand] {
        var commands = items.map { LogIndex.remove(Int($0.number), from: LogIndex.outbox) }
        if isMoved { commands += LogIndex.lists(conversationID, state).map { LogIndex.remove(place, from: $0) } }
        return commands
    }

    /// Written after the step.
    var withdrawals: [RedisCommand] {
        var commands = dropped.map { LogIndex.remove($0, from: LogIndex.outbox) }
        if isMoved, plan.version > 0 {
            commands += LogIndex.lists(conversationID, before).map { LogIndex.remove(oldPlace, from: $0) }
        }
        return commands
    }
}
