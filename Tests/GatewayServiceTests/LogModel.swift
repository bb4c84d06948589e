import Contracts
import Core

@testable import GatewayService

/// What the message log promises, in the plainest form: everything in memory, looked for from the start each time.
struct LogModel {
    struct Entry {
        let draft: Draft
        /// A message's addressee as it is stored.
        var recalledBy: Int?

        var content: String? { draft.kind != .chat ? nil : recalledBy == nil ? draft.content : "" }
    }

    struct Place: Equatable {
        var delivered: Int
        var read: Int
        var ended: Int?
    }

    struct Conversation {
        var entries: [Entry] = []
        var places: [String: Place] = [:]
        var agent: String?
        var lastAgent: String?
        var isRouted = false
        var hasAnswered = false
        var closedAt = 0
        /// Counts the changes of state over all conversations.
        var changed = 0

        var members: [String] { places.filter { $0.value.ended == nil }.keys.sorted() }
    }

    struct Item {
        let id: Int
        let work: OutboxItem.Work
    }

    /// What is expected of an entry.
    struct Expected: Equatable {
        let outcome: Outcome
        var audience: [String] = []
    }

    private(set) var conversations: [String: Conversation] = [:]
    private(set) var outbox: [Item] = []
    /// Of the running commit.
    private var reported: [Int] = []
    private var itemsCount = 0
    private var changes = 0

    // MARK: - Commits

    mutating func beginCommit() { reported = [] }

    /// What the commit made due and what of it is left.
    var due: [Item] { reported.compactMap { id in outbox.first { $0.id == id } } }

    mutating func append(_ draft: Draft) -> Expected {
        let name = draft.conversationID
        let conversation = conversations[name] ?? Conversation()
        if let clientID = draft.clientID,
            let known = conversation.entries.firstIndex(where: {
                $0.draft.sender == draft.sender && $0.draft.clientID == clientID
            })
        {
            return repeated(draft, conversation, known)
        }
        if case .recall(let target) = draft.kind {
            guard (1..<conversation.entries.count + 1).contains(target) else {
                return Expected(outcome: .failed(.messageUnknown))
            }
            let message = conversation.entries[target - 1]
            guard message.draft.kind == .chat, message.draft.sender == draft.sender else {
                return Expected(outcome: .failed(.recallForbidden))
            }
            if let recall = message.recalledBy { return repeated(draft, conversation, recall - 1) }
            guard draft.time.milliseconds - message.draft.time.milliseconds <= 120_000 else {
                return Expected(outcome: .failed(.recallTooLate))
            }
        }
        return store(draft, conversation)
    }

    private mutating func repeated(_ draft: Draft, _ conversation: Conversation, _ index: Int) -> Expected {
        let entry = conversation.entries[index]
        if draft.kind == .chat {
            if let need = need(of: draft.conversationID) { reported.append(need.id) }
            if let fileID = draft.fileID, entry.recalledBy != nil { revoke(draft, fileID) }
        }
        return Expected(outcome: .repeated(index + 1, content: entry.content), audience: conversation.members)
    }

    private mutating func store(_ draft: Draft, _ found: Conversation) -> Expected {
        let name = draft.conversationID
        var conversation = found
        conversation.entries.append(Entry(draft: draft))
        let sequence = conversation.entries.count
        let before = conversation.members
        let state = routing(of: conversation, name)
        if name.hasPrefix("c:") {
            if sequence == 1 { join(String(name.dropFirst(2)), &conversation) }
            route(draft, sequence, &conversation)
        } else {
            join(draft.sender, &conversation)
            if let addressee = draft.addressee { join(addressee, &conversation) }
        }
        if case .recall(let target) = draft.kind {
            conversation.entries[target - 1].recalledBy = sequence
            let message = conversation.entries[target - 1].draft
            if let fileID = message.fileID { revoke(message, fileID) }
        }
        if sequence == 1 || isDecision(draft.kind) || state != routing(of: conversation, name) {
            changes += 1
            conversation.changed = changes
        }
        conversations[name] = conversation
        return Expected(
            outcome: .appended(sequence),
            audience: Set(before).union(conversation.members).sorted()
        )
    }

    private func isDecision(_ kind: EntryKind) -> Bool {
        switch kind {
        case .chat, .recall: false
        case .assigned, .transferred, .closed: true
        }
    }

    // MARK: - Membership and routing

    private func join(_ user: String, _ conversation: inout Conversation) {
        var place = conversation.places[user] ?? Place(delivered: 0, read: 0, ended: 0)
        guard place.ended != nil else { return }
        place.delivered = max(place.delivered, conversation.closedAt)
        place.read = max(place.read, conversation.closedAt)
        place.ended = nil
        conversation.places[user] = place
    }

    private mutating func route(_ draft: Draft, _ sequence: Int, _ conversation: inout Conversation) {
        let name = draft.conversationID
        switch draft.kind {
        case .recall: break
        case .chat:
            join(draft.sender, &conversation)
            if let addressee = draft.addressee { join(addressee, &conversation) }
            if let agent = conversation.agent {
                guard agent == draft.sender, !conversation.hasAnswered else { return }
                conversation.hasAnswered = true
                put(.answered(conversationID: name, agentID: agent, sequence: sequence))
            } else if draft.senderType == .customer {
                guard !conversation.isRouted, need(of: name) == nil else { return }
                ask(draft, sequence, agent: draft.addressee)
            } else if need(of: name)?.requesterType != .agent {
                ask(draft, sequence, agent: nil)
            }
        case .assigned(let agentID): serve(agentID, name, sequence, &conversation)
        case .transferred(let agentID): serve(agentID, name, sequence, &conversation)
        case .closed(let asked):
            let customer = String(name.dropFirst(2))
            for user in conversation.members where user != customer { conversation.places[user]?.ended = sequence }
            drop(name)
            conversation.agent = nil
            conversation.isRouted = false
            conversation.closedAt = sequence
            let isOvertaken = conversation.entries.enumerated().contains { index, entry in
                index >= asked && entry.draft.kind == .chat && entry.draft.sender == customer
            }
            if isOvertaken {
                ask(Draft(conversationID: name, sender: customer), sequence, agent: nil)
            }
        }
    }

    private mutating func serve(_ agentID: String?, _ name: String, _ sequence: Int, _ conversation: inout Conversation)
    {
        if let former = conversation.agent, former != agentID { conversation.places[former]?.ended = sequence }
        drop(name)
        conversation.agent = agentID
        conversation.isRouted = true
        conversation.hasAnswered = false
        if let agentID {
            conversation.lastAgent = agentID
            join(agentID, &conversation)
        }
    }

    func routing(of conversation: Conversation, _ name: String) -> RoutingState {
        if name.hasPrefix("d:") || conversation.agent != nil { return .open }
        return conversation.isRouted || need(of: name) != nil ? .queued : .closed
    }

    // MARK: - Outbox

    private func need(of name: String) -> (id: Int, requesterType: UserType)? {
        for item in outbox {
            if case .route(let need) = item.work, need.conversationID == name { return (item.id, need.requesterType) }
        }
        return nil
    }

    private mutating func drop(_ name: String) {
        if let need = need(of: name) { outbox.removeAll { $0.id == need.id } }
    }

    private mutating func ask(_ draft: Draft, _ sequence: Int, agent: String?) {
        drop(draft.conversationID)
        guard let requesterType = draft.senderType else { return }
        put(
            .route(
                RoutingNeed(
                    conversationID: draft.conversationID,
                    sequence: sequence,
                    requestedBy: draft.sender,
                    requesterType: requesterType,
                    agentID: agent
                )
            )
        )
    }

    private mutating func revoke(_ message: Draft, _ fileID: String) {
        let work = OutboxItem.Work.revoke(GrantedFile(fileID: fileID, source: message.source))
        outbox.removeAll { $0.work == work }
        put(work)
    }

    private mutating func put(_ work: OutboxItem.Work) {
        itemsCount += 1
        outbox.append(Item(id: itemsCount, work: work))
        reported.append(itemsCount)
    }

    mutating func settle(_ id: Int) {
        guard let item = outbox.first(where: { $0.id == id }) else { return }
        outbox.removeAll { $0.id == id }
        if case .route(let need) = item.work { conversations[need.conversationID]?.isRouted = true }
    }

    // MARK: - Receipts and lists

    /// What has moved.
    mutating func move(_ user: String, in name: String, delivered: Int, read: Int) -> [Int?]? {
        guard let conversation = conversations[name], let place = conversation.places[user] else { return nil }
        let last = place.ended ?? conversation.entries.count
        var moved = place
        moved.read = max(place.read, min(read, last))
        moved.delivered = max(place.delivered, min(delivered, last), moved.read)
        guard moved != place else { return nil }
        conversations[name]?.places[user] = moved
        return [moved.delivered > place.delivered ? moved.delivered : nil, moved.read > place.read ? moved.read : nil]
    }

    func unread(_ user: String, in conversation: Conversation) -> Int {
        guard let place = conversation.places[user] else { return 0 }
        return conversation.entries.enumerated().filter { index, entry in
            index >= place.read && index < place.ended ?? .max && entry.draft.kind == .chat
                && entry.draft.sender != user && entry.recalledBy == nil
        }.count
    }

    func listed(_ query: ConversationQuery) -> [String] {
        conversations.filter { name, conversation in
            guard query.state == nil || routing(of: conversation, name) == query.state else { return false }
            switch (query.userType, query.scope) {
            case (.customer, _): return name == "c:\(query.user)"
            case (.agent, .all): return name.hasPrefix("c:")
            case (.agent, .own):
                return name.hasPrefix("d:")
                    ? conversation.members.contains(query.user) : conversation.lastAgent == query.user
            }
        }.sorted { $0.value.changed > $1.value.changed }.map(\.key)
    }
}
