import Contracts
import Core
import Storage

/// Conversations as lists show them.
extension LogReader {
    /// Entries that one page looks at; a page that would look at more ends early, after one conversation at least.
    static let pageEntriesMax = 20_000

    private static let columns = "SELECT c, name, customer, agent, state, changed FROM conversation"

    private struct ConversationRow {
        let number: Int64
        let name: String
        let customer: String?
        let agent: String?
        let state: RoutingState
        let changed: Int64

        init(_ row: Row) {
            number = row.int64(0)
            name = row.string(1)
            customer = row.optionalString(2)
            agent = row.optionalString(3)
            state = RoutingState(rawValue: row.string(4)) ?? .closed
            changed = row.int64(5)
        }
    }

    /// One conversation.
    func conversation(_ conversationID: String, for user: String) throws -> ConversationSummary? {
        let row = try connection.first(Self.columns + " WHERE name = ?", conversationID, read: ConversationRow.init)
        var scanned = 0
        return try row.flatMap { try summary($0, for: user, scanned: &scanned) }
    }

    /// A page of conversations, the one whose state changed last first.
    func conversations(
        _ query: ConversationQuery,
        entriesMax: Int = pageEntriesMax
    ) throws -> ConversationPage {
        var page = ConversationPage()
        guard query.limit > 0 else { return page }
        let rows = try rows(query)
        var scanned = 0
        for row in rows {
            if page.conversations.count == query.limit || scanned >= entriesMax { return page }
            if let summary = try summary(row, for: query.user, scanned: &scanned) {
                page.conversations.append(summary)
            }
            page.next = row.changed
        }
        page.next = nil
        return page
    }

    /// The query's rows from its cursor on, one more than its limit.
    private func rows(_ query: ConversationQuery) throws -> [ConversationRow] {
        let limit = min(query.limit, Int(Int32.max)) + 1
        let cursor = query.cursor ?? .max
        switch (query.userType, query.scope) {
        case (.customer, _):
            return try connection.rows(
                Self.columns + " WHERE name = ? AND changed < ?",
                ConversationName.ofCustomer(query.user),
                cursor,
                read: ConversationRow.init
            ).filter { query.state == nil || $0.state == query.state }
        case (.agent, .own):
            var parts = Self.states(query).map { state in
                Self.columns + " WHERE last_agent = ?1 AND state = '\(state.rawValue)' AND changed < ?2"
            }
            if query.state ?? .open == .open { parts.append(Self.columns + " WHERE peer = ?1 AND changed < ?2") }
            return try connection.rows(
                Self.merged(parts) + " LIMIT ?3",
                query.user,
                cursor,
                limit,
                read: ConversationRow.init
            )
        case (.agent, .all):
            let parts = Self.states(query).map { state in
                Self.columns + " WHERE customer IS NOT NULL AND state = '\(state.rawValue)' AND changed < ?1"
            }
            return try connection.rows(Self.merged(parts) + " LIMIT ?2", cursor, limit, read: ConversationRow.init)
        }
    }

    private static func states(_ query: ConversationQuery) -> [RoutingState] {
        query.state.map { [$0] } ?? RoutingState.allCases
    }

    /// Each part is in order by its index, so that SQLite merges them without sorting.
    private static func merged(_ parts: [String]) -> String {
        parts.joined(separator: " UNION ALL ") + " ORDER BY changed DESC"
    }

    // MARK: - One of them

    /// `nil` while its first entry is not visible yet.
    private func summary(
        _ row: ConversationRow,
        for user: String,
        scanned: inout Int
    ) throws -> ConversationSummary? {
        let member = try connection.first(
            "SELECT read, ended FROM member WHERE u = ? AND c = ?",
            user,
            row.number
        ) { (read: $0.int(0), ended: $0.optionalInt64(1).map { Int($0) }) }
        let extent = try extent(of: row.number)
        guard extent.head > 0 else { return nil }
        var newest = NewestEntries(user: user, head: extent.head, read: member?.read, ended: member?.ended)
        try forEachEntry(of: extent, in: newest.first...extent.head, isBackwards: true) { sequence, text in
            scanned += 1
            return newest.take(sequence, text)
        }
        return ConversationSummary(
            conversationID: row.name,
            customerID: row.customer,
            agentID: row.agent,
            state: row.state,
            lastMessage: newest.lastMessage,
            head: extent.head,
            unread: newest.unread,
            updatedAt: newest.updatedAt
        )
    }
}
