import Contracts
import Core

/// The message log as the gateways share it.
///
/// Entries, who belongs to a conversation (the gateway's own `ConversationState`), and how far each member's devices
/// have taken it. It never fails and loses nothing; the engines have tests of their own.
struct SimulatedLog {
    struct Entry {
        let sender: String
        let clientID: String
    }

    struct Conversation {
        let id: String
        var state: ConversationState
        var entries: [Entry] = []
        var sequences: [String: Int] = [:]
        var delivered: [String: Int] = [:]
        /// Where each member's present or last membership began.
        var starts: [String: Int] = [:]
        /// The sequence that ended a former member's membership.
        var ended: [String: Int] = [:]

        init(_ id: String) {
            self.id = id
            state = ConversationState(conversationID: id)
        }

        var head: Int { entries.count }

        /// How far a user is to be sent it; `nil` for who never was a member.
        func reach(of user: String) -> Int? {
            if state.members.contains(user) { return head }
            return ended[user]
        }
    }

    struct Appended {
        let sequence: Int
        let audience: [String]
        let isRepeat: Bool
    }

    private(set) var conversations: [Conversation]

    init(_ ids: [String]) { conversations = ids.map { Conversation($0) } }

    func index(of id: String) -> Int? { conversations.firstIndex { $0.id == id } }

    mutating func append(
        to index: Int,
        _ kind: EntryKind,
        by sender: String,
        _ type: UserType?,
        for addressee: String?,
        clientID: String
    ) -> Appended {
        let key = "\(sender) \(clientID)"
        if let sequence = conversations[index].sequences[key] {
            return Appended(sequence: sequence, audience: conversations[index].state.members, isRepeat: true)
        }
        let append = Append(
            conversationID: conversations[index].id,
            sender: sender,
            senderType: type,
            addressee: addressee,
            clientID: clientID,
            kind: kind,
            text: 0..<0,
            acknowledged: 0..<0,
            file: nil,
            origin: nil
        )
        conversations[index].entries.append(Entry(sender: sender, clientID: clientID))
        let sequence = conversations[index].head
        conversations[index].sequences[key] = sequence
        let change = conversations[index].state.take(append, at: sequence)
        for user in change.joined {
            let former = conversations[index].delivered[user] ?? 0
            conversations[index].delivered[user] = max(former, change.start)
            conversations[index].starts[user] = conversations[index].delivered[user]
            conversations[index].ended[user] = nil
        }
        for user in change.ended { conversations[index].ended[user] = sequence }
        return Appended(sequence: sequence, audience: change.audience, isRepeat: false)
    }

    mutating func move(_ user: String, to sequence: Int, in index: Int) {
        guard let reach = conversations[index].reach(of: user) else { return }
        let former = conversations[index].delivered[user] ?? 0
        conversations[index].delivered[user] = max(former, min(sequence, reach))
    }

    /// As `ConversationLog.positions`.
    func positions(of user: String, naming named: [String]) -> [MemberPosition] {
        conversations.compactMap { conversation in
            guard let reach = conversation.reach(of: user) else { return nil }
            let delivered = conversation.delivered[user] ?? 0
            let isWanted =
                conversation.state.members.contains(user) || delivered < reach || named.contains(conversation.id)
            guard isWanted else { return nil }
            return position(of: user, in: conversation, reach)
        }
    }

    func position(of user: String, in id: String) -> MemberPosition? {
        guard let index = index(of: id), let reach = conversations[index].reach(of: user) else { return nil }
        return position(of: user, in: conversations[index], reach)
    }

    private func position(of user: String, in conversation: Conversation, _ reach: Int) -> MemberPosition {
        MemberPosition(
            conversationID: conversation.id,
            delivered: conversation.delivered[user] ?? 0,
            head: reach,
            start: conversation.starts[user],
            hasEnded: !conversation.state.members.contains(user)
        )
    }
}
