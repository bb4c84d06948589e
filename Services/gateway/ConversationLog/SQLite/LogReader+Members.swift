import Storage

/// Who is in a conversation and how far, and what is due elsewhere.
extension LogReader {
    /// See `ConversationLog.positions`.
    func positions(of user: String, naming: [String]) throws -> [MemberPosition] {
        // Each by an index of its own: the primary key would go through all that they ever were a member of.
        let columns = "SELECT n.c, n.name, m.delivered, m.ended, n.agent, m.start FROM member m"
        let rows = try connection.rows(
            """
            \(columns) INDEXED BY member_active JOIN conversation n ON n.c = m.c WHERE m.u = ?1 AND m.ended IS NULL
            UNION ALL
            \(columns) INDEXED BY member_owed JOIN conversation n ON n.c = m.c WHERE m.u = ?1 AND m.delivered < m.ended
            """,
            user,
            read: MemberRow.init
        )
        var positions = try rows.map(position)
        var known = Set(positions.map(\.conversationID))
        for name in naming where known.insert(name).inserted {
            if let position = try position(of: user, in: name) { positions.append(position) }
        }
        return positions
    }

    /// See `ConversationLog.position`.
    func position(of user: String, in conversationID: String) throws -> MemberPosition? {
        try connection.first(
            """
            SELECT n.c, n.name, m.delivered, m.ended, n.agent, m.start
            FROM conversation n JOIN member m ON m.c = n.c AND m.u = ?1 WHERE n.name = ?2
            """,
            user,
            conversationID,
            read: MemberRow.init
        ).map(position)
    }

    private struct MemberRow {
        let number: Int64
        let name: String
        let delivered: Int
        let ended: Int?
        let agent: String?
        let start: Int?

        init(_ row: Row) {
            number = row.int64(0)
            name = row.string(1)
            delivered = row.int(2)
            ended = row.optionalInt64(3).map { Int($0) }
            agent = row.optionalString(4)
            start = row.optionalInt64(5).map { Int($0) }
        }
    }

    private func position(_ row: MemberRow) throws -> MemberPosition {
        // The row may be of a commit that the tail does not show yet.
        let head = try row.ended ?? max(tail.head(of: row.number) ?? indexedHead(of: row.number), row.delivered)
        return MemberPosition(
            conversationID: row.name,
            delivered: row.delivered,
            head: head,
            start: row.start,
            hasEnded: row.ended != nil,
            agentID: row.agent
        )
    }

    private func indexedHead(of number: Int64) throws -> Int { try LogIndexQueries.head(of: number, connection) }

    /// Who gets a conversation's entries now.
    func members(of conversationID: String) throws -> [String] {
        guard let number = try number(of: conversationID) else { return [] }
        return try connection.rows(
            "SELECT u FROM member INDEXED BY member_now WHERE c = ? AND ended IS NULL",
            number
        ) { $0.string(0) }
    }

    /// What is due after an item, oldest first.
    func outbox(after number: Int64, limit: Int) throws -> [OutboxItem] {
        try connection.rows(
            """
            SELECT \(OutboxItem.columns) FROM outbox o JOIN conversation n ON n.c = o.c
            WHERE o.n > ? ORDER BY o.n LIMIT ?
            """,
            number,
            max(limit, 0),
            read: OutboxItem.init
        ).compactMap { $0 }
    }
}
