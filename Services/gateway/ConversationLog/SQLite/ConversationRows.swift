import Contracts
import Core
import Storage

/// The writer's rows beside the entries: conversations, their members, the outbox.
///
/// On the writer's thread, within its transaction; none of it is touched by a message between known members.
final class ConversationRows {
    private let connection: Connection
    private var nextNumber: Int64

    init(connection: Connection) throws {
        self.connection = connection
        nextNumber = 1 + (try connection.first("SELECT max(c) FROM conversation") { $0.int64(0) } ?? 0)
    }

    // MARK: - Conversations

    /// What the file has of a conversation.
    struct Found {
        let number: Int64
        let state: ConversationState
        let needNumber: Int64?
    }

    func find(_ name: String) throws -> Found? {
        var stored = ConversationState.Stored()
        let row = try connection.first(
            "SELECT c, agent, last_agent, routed, answered, closed_at, state FROM conversation WHERE name = ?",
            name
        ) { row in
            stored.agent = row.optionalString(1)
            stored.lastAgent = row.optionalString(2)
            stored.isRouted = row.bool(3)
            stored.hasAnswered = row.bool(4)
            stored.closedAt = row.int(5)
            return (number: row.int64(0), isQueued: row.string(6) == RoutingState.queued.rawValue)
        }
        guard let row else { return nil }
        stored.members = try connection.rows(
            "SELECT u FROM member INDEXED BY member_now WHERE c = ? AND ended IS NULL",
            row.number
        ) { $0.string(0) }
        // Only a conversation without agent can have one, and it counts as queued then.
        let need = row.isQueued ? try findNeed(row.number, name) : nil
        stored.need = need?.need
        return Found(
            number: row.number,
            state: ConversationState(conversationID: name, stored),
            needNumber: need?.number
        )
    }

    private func findNeed(_ number: Int64, _ name: String) throws -> (number: Int64, need: RoutingNeed)? {
        try connection.first(
            "SELECT n, q, user, user_type, agent FROM outbox INDEXED BY outbox_route WHERE kind = 'route' AND c = ?",
            number
        ) { row in
            RoutingNeed(row, from: 1, conversationID: name).map { (row.int64(0), $0) }
        }.flatMap { $0 }
    }

    /// A number for a conversation that has its first entry.
    func newNumber() -> Int64 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// Stores a conversation with its first entry.
    ///
    /// - Parameter row: The entry's row in the log.
    func insert(_ conversation: LoadedConversation, at row: Int64) throws {
        let state = conversation.state
        let agents = ConversationName.agents(of: conversation.name)
        try connection.run(
            """
            INSERT INTO conversation
                (c, name, customer, agent, last_agent, peer, routed, answered, closed_at, state, changed)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            conversation.number,
            conversation.name,
            state.customer,
            state.agent,
            agents?.first ?? state.lastAgent,
            agents?.second,
            state.isRouted,
            state.hasAnswered,
            state.closedAt,
            state.routing.rawValue,
            row
        )
    }

    private func update(_ conversation: LoadedConversation) throws {
        let state = conversation.state
        try connection.run(
            "UPDATE conversation SET agent = ?, routed = ?, answered = ?, closed_at = ? WHERE c = ?",
            state.agent,
            state.isRouted,
            state.hasAnswered,
            state.closedAt,
            conversation.number
        )
    }

    /// Stores what an entry has changed, but for a conversation's first one.
    ///
    /// - Parameter row: The entry's row in the log.
    func store(_ change: ConversationState.Change, of conversation: LoadedConversation, at row: Int64) throws {
        guard change.extent != .nothing else { return }
        try update(conversation)
        guard change.extent == .place else { return }
        try connection.run(
            "UPDATE conversation SET last_agent = ?, state = ?, changed = ? WHERE c = ?",
            conversation.state.lastAgent,
            conversation.state.routing.rawValue,
            row,
            conversation.number
        )
    }

    // MARK: - Members

    /// Stores the memberships that an entry begins and ends.
    func storeMembers(
        _ change: ConversationState.Change,
        of conversation: LoadedConversation,
        at sequence: Int
    ) throws {
        for user in change.joined {
            try connection.run(
                """
                INSERT INTO member (u, c, delivered, read, start) VALUES (?1, ?2, ?3, ?3, ?3)
                ON CONFLICT (u, c) DO UPDATE
                SET ended = NULL, delivered = max(delivered, excluded.delivered), read = max(read, excluded.read),
                    start = max(delivered, excluded.delivered)
                """,
                user,
                conversation.number,
                change.start
            )
        }
        for user in change.ended {
            try connection.run(
                "UPDATE member SET ended = ? WHERE u = ? AND c = ?",
                sequence,
                user,
                conversation.number
            )
        }
    }

    /// Moves a member's positions forward, to the head or to where their membership ended at most.
    ///
    /// - Returns: `nil` when nothing has moved.
    func move(
        _ receipt: GatheredReceipt,
        of user: String,
        in conversation: LoadedConversation
    ) throws -> PositionMove? {
        let stored = try connection.first(
            "SELECT delivered, read, ended FROM member WHERE u = ? AND c = ?",
            user,
            conversation.number
        ) { (delivered: $0.int(0), read: $0.int(1), ended: $0.optionalInt64(2)) }
        guard let stored else { return nil }
        let last = stored.ended.map { Int($0) } ?? conversation.head
        let read = max(stored.read, min(receipt.read, last))
        let delivered = max(stored.delivered, min(receipt.delivered, last), read)
        guard delivered > stored.delivered || read > stored.read else { return nil }
        try connection.run(
            "UPDATE member SET delivered = ?, read = ? WHERE u = ? AND c = ?",
            delivered,
            read,
            user,
            conversation.number
        )
        return PositionMove(
            conversationID: conversation.name,
            userID: user,
            delivered: delivered > stored.delivered ? delivered : nil,
            read: read > stored.read ? read : nil,
            members: conversation.state.members,
            origin: receipt.origin
        )
    }

    // MARK: - Outbox

    /// Puts an item into the outbox.
    func put(_ work: OutboxItem.Work, for conversation: LoadedConversation) throws -> OutboxItem {
        switch work {
        case .route(let need):
            try connection.run(
                "INSERT INTO outbox (kind, c, q, user, user_type, agent) VALUES ('route', ?, ?, ?, ?, ?)",
                conversation.number,
                need.sequence,
                need.requestedBy,
                need.requesterType.rawValue,
                need.agentID
            )
        case .answered(_, let agentID, let sequence):
            try connection.run(
                "INSERT INTO outbox (kind, c, q, agent) VALUES ('answered', ?, ?, ?)",
                conversation.number,
                sequence,
                agentID
            )
        case .revoke(let file):
            try connection.run(
                "INSERT INTO outbox (kind, c, q, file, source) VALUES ('revoke', ?, ?, ?, ?)",
                conversation.number,
                conversation.head,
                file.fileID,
                file.source
            )
        }
        return OutboxItem(number: connection.lastInsertRowID, work: work)
    }

    /// Takes out the item that revokes a file's grant.
    ///
    /// - Returns: Its number, if it was there.
    func removeRevoke(of file: GrantedFile) throws -> Int64? {
        try connection.first(
            "DELETE FROM outbox INDEXED BY outbox_revoke WHERE kind = 'revoke' AND source = ? AND file = ? RETURNING n",
            file.source,
            file.fileID
        ) { $0.int64(0) }
    }

    /// Takes an item out.
    ///
    /// - Returns: Of a `route` that was there, the conversation's name.
    @discardableResult
    func remove(_ number: Int64) throws -> String? {
        let removed = try connection.first("DELETE FROM outbox WHERE n = ? RETURNING kind, c", number) { row in
            (isRoute: row.string(0) == OutboxKind.route.rawValue, conversation: row.int64(1))
        }
        guard let removed, removed.isRoute else { return nil }
        return try connection.first("SELECT name FROM conversation WHERE c = ?", removed.conversation) { $0.string(0) }
    }

    /// Stores that presence's answer knows the conversation.
    func storeRouted(_ conversation: LoadedConversation) throws { try update(conversation) }
}
