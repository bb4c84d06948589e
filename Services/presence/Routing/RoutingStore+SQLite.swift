import Contracts
import Core
import Storage

/// Conversations and decisions in presence's SQLite file.
final class SQLiteRoutingStore: RoutingStore {
    private static let conversationColumns = """
        c.conversation_id, c.customer_id, c.state, c.agent_id, c.last_agent_id, c.named_agent_id, c.avoided_agent_id,
        c.is_requeued, c.ticket, c.queued_at, c.reason, c.decision_number, c.logged_seq, c.is_awaiting_response,
        c.need_seq, c.need_agent_id, c.need_requested_by, c.need_requester_type
        """
    private static let decisionColumns = """
        d.decision_id, d.number, d.conversation_id, d.kind, d.agent_id, d.former_agent_id, d.position, d.reason,
        d.requested_by, d.note, d.seq, d.at
        """
    /// A conversation with its pending decision, whose columns are NULL without one.
    private static let selectConversation = """
        SELECT \(conversationColumns), \(decisionColumns) FROM routed_conversation c
        LEFT JOIN routing_decision d
            ON c.is_pending = 1 AND d.conversation_id = c.conversation_id AND d.number = c.decision_number
        """

    private let database: Database
    private let fence: Fence

    /// - Parameters:
    ///   - database: Presence's, which others use too.
    ///   - fence: Refuses what a former leader writes.
    init(_ database: Database, fence: Fence = .none) {
        self.database = database
        self.fence = fence
    }

    func liveConversations() async throws -> [RoutedConversation] {
        try await database.read { db in
            try db.rows("\(Self.selectConversation) WHERE c.is_live = 1", read: Self.conversation)
        }
    }

    func conversations(_ conversationIDs: [String]) async throws -> [RoutedConversation] {
        try await database.read { db in
            try conversationIDs.compactMap { conversationID in
                try db.first(
                    "\(Self.selectConversation) WHERE c.conversation_id = ?",
                    conversationID,
                    read: Self.conversation
                )
            }
        }
    }

    func store(_ effects: RoutingEffects) async throws {
        try await database.write { [fence] db in
            try fence.check(db)
            for decision in effects.decisions { try Self.insert(decision, db) }
            for conversation in effects.conversations { try Self.upsert(conversation, db) }
        }
    }

    func decisions(of conversationID: String, limit: Int) async throws -> [RoutingDecision] {
        try await database.read { db in
            try db.rows(
                """
                SELECT \(Self.decisionColumns) FROM routing_decision d
                WHERE d.conversation_id = ? ORDER BY d.number DESC LIMIT ?
                """,
                conversationID,
                limit
            ) { try Self.decision($0, from: 0) }
        }
    }

    // MARK: - Rows

    private static func insert(_ decision: RoutingDecision, _ db: Connection) throws {
        try db.run(
            """
            INSERT INTO routing_decision (
                decision_id, number, conversation_id, kind, agent_id, former_agent_id, position, reason, requested_by,
                note, seq, at
            ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            decision.decisionID,
            decision.number,
            decision.conversationID,
            decision.kind.rawValue,
            decision.agentID,
            decision.formerAgentID,
            decision.position,
            decision.reason,
            decision.requestedBy,
            decision.note,
            decision.seq,
            decision.at.milliseconds
        )
        guard decision.number > RoutingRetention.decisionsMax else { return }
        try db.run(
            "DELETE FROM routing_decision WHERE conversation_id = ? AND number <= ?",
            decision.conversationID,
            decision.number - RoutingRetention.decisionsMax
        )
    }

    private static func upsert(_ conversation: RoutedConversation, _ db: Connection) throws {
        try db.run(
            """
            INSERT OR REPLACE INTO routed_conversation (
                conversation_id, customer_id, state, agent_id, last_agent_id, named_agent_id, avoided_agent_id,
                is_requeued, ticket, queued_at, reason, decision_number, is_pending, logged_seq, is_awaiting_response,
                need_seq, need_agent_id, need_requested_by, need_requester_type, is_live
            ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            conversation.conversationID,
            conversation.customerID,
            conversation.state.rawValue,
            conversation.agentID,
            conversation.lastAgentID,
            conversation.namedAgentID,
            conversation.avoidedAgentID,
            conversation.isRequeued,
            conversation.ticket,
            conversation.queuedAt?.milliseconds,
            conversation.reason,
            conversation.decisionNumber,
            conversation.pending != nil,
            conversation.loggedSeq,
            conversation.isAwaitingResponse,
            conversation.need?.seq,
            conversation.need?.agentID,
            conversation.need?.requestedBy,
            conversation.need?.requesterType.rawValue,
            conversation.isLive
        )
    }

    private static func conversation(_ row: Row) throws -> RoutedConversation {
        var conversation = RoutedConversation(conversationID: row.string(0), customerID: row.string(1))
        conversation.state = try known(row.string(2), "state")
        conversation.agentID = row.optionalString(3)
        conversation.lastAgentID = row.optionalString(4)
        conversation.namedAgentID = row.optionalString(5)
        conversation.avoidedAgentID = row.optionalString(6)
        conversation.isRequeued = row.bool(7)
        conversation.ticket = row.int64(8)
        conversation.queuedAt = row.optionalInt64(9).map(Timestamp.init)
        conversation.reason = row.string(10)
        conversation.decisionNumber = row.int(11)
        conversation.loggedSeq = row.int(12)
        conversation.isAwaitingResponse = row.bool(13)
        if !row.isNull(14) {
            conversation.need = RoutedConversation.Need(
                seq: row.int(14),
                agentID: row.optionalString(15),
                requestedBy: row.string(16),
                requesterType: try known(row.string(17), "need_requester_type")
            )
        }
        if !row.isNull(18) { conversation.pending = try decision(row, from: 18) }
        return conversation
    }

    private static func decision(_ row: Row, from column: Int) throws -> RoutingDecision {
        RoutingDecision(
            decisionID: row.string(column),
            number: row.int(column + 1),
            conversationID: row.string(column + 2),
            kind: try known(row.string(column + 3), "kind"),
            agentID: row.optionalString(column + 4),
            formerAgentID: row.optionalString(column + 5),
            position: row.optionalInt64(column + 6).map { Int($0) },
            reason: row.string(column + 7),
            requestedBy: row.optionalString(column + 8),
            note: row.optionalString(column + 9),
            seq: row.optionalInt64(column + 10).map { Int($0) },
            at: Timestamp(milliseconds: row.int64(column + 11))
        )
    }

    /// The file has a word that only another program can have written.
    private struct UnknownWord: Error {
        let column: String
        let word: String
    }

    /// A word that this program wrote; another one means that the file is not as it was written.
    private static func known<Word: RawRepresentable>(_ text: String, _ column: String) throws -> Word
    where Word.RawValue == String {
        guard let word = Word(rawValue: text) else {
            throw UnknownWord(column: column, word: text)
        }
        return word
    }
}
