import Core
import Foundation
import Storage

// The statements of the audit trail.

extension Connection {
    /// Adds an entry; passes over one whose report is there already.
    ///
    /// What customers do, guests included, has the share of what anybody can do: there may be any number of them, and
    /// an agent's entries, an administrator's and the operator's are not to be pushed out by theirs.
    func insert(_ entry: AuditEntry) throws {
        try run(
            """
            INSERT INTO audit (at, event, is_anonymous, actor_id, user_id, conversation_id, remote_address, request_id,
                details, report_id)
            VALUES (?1, ?2,
                ?3 OR (?4 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM account WHERE user_id = ?4 AND user_type = 'Kefu')),
                ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (report_id) DO NOTHING
            """,
            entry.at.milliseconds,
            entry.event.word,
            entry.event.isAnonymous,
            entry.actor.userID,
            entry.userID,
            entry.conversationID,
            entry.actor.remoteAddress,
            entry.actor.requestID,
            entry.details.isEmpty ? nil : String(decoding: try JSONEncoder().encode(entry.details), as: UTF8.self),
            entry.reportID
        )
    }

    /// The statement for a question about the trail.
    ///
    /// Only what is asked for stands in the text, so that each question finds its index.
    static func auditStatement(_ filter: AuditFilter) -> String {
        let conditions = [
            filter.event == nil ? "?1 IS NULL" : "event = ?1",
            filter.actorID == nil ? "?2 IS NULL" : "actor_id = ?2",
            filter.userID == nil ? "?3 IS NULL" : "user_id = ?3",
            filter.conversationID == nil ? "?4 IS NULL" : "conversation_id = ?4",
        ]
        return """
            SELECT at, number, event, actor_id, user_id, conversation_id, remote_address, request_id, details
            FROM audit
            WHERE \(conditions.joined(separator: " AND ")) AND at >= ?5 AND (at, number) < (?6, ?7)
            ORDER BY at DESC, number DESC LIMIT ?8
            """
    }

    /// Entries before `position`, the newest first.
    func auditEntries(
        _ filter: AuditFilter,
        before position: AuditPosition?,
        limit: Int
    ) throws -> [(position: AuditPosition, entry: AuditEntry)] {
        try rows(
            Self.auditStatement(filter),
            filter.event?.word,
            filter.actorID,
            filter.userID,
            filter.conversationID,
            filter.from?.milliseconds ?? 0,
            position?.at.milliseconds ?? filter.to?.milliseconds ?? Int64.max,
            // Before every entry of that very millisecond, which `to` leaves out.
            Int64(position?.number ?? 0),
            limit
        ) { row in
            guard let event = AuditEvent(word: row.string(2)) else { throw DamagedRow(column: "event") }
            let actor = Actor(
                userID: row.optionalString(3),
                remoteAddress: row.optionalString(6),
                requestID: row.optionalString(7)
            )
            let details = row.optionalString(8).map { Data($0.utf8) }
            let entry = AuditEntry(
                event,
                by: actor,
                at: row.timestamp(0),
                userID: row.optionalString(4),
                conversationID: row.optionalString(5),
                details: try details.map { try JSONDecoder().decode([String: String].self, from: $0) } ?? [:]
            )
            return (AuditPosition(at: row.timestamp(0), number: row.int(1)), entry)
        }
    }

    /// Whether a share has more than `kept` entries.
    func hasAudit(isAnonymous: Bool, past kept: Int) throws -> Bool {
        try first("SELECT 1 FROM audit WHERE is_anonymous = ? LIMIT 1 OFFSET ?", isAnonymous, kept) { _ in true }
            ?? false
    }

    /// Deletes up to `countMax` of the oldest entries past the newest `kept` of a share.
    func trimAudit(isAnonymous: Bool, keeping kept: Int, _ countMax: Int) throws -> Int {
        try run(
            """
            DELETE FROM audit WHERE number IN (
                SELECT number FROM audit WHERE is_anonymous = ? ORDER BY at DESC, number DESC LIMIT ? OFFSET ?
            )
            """,
            isAnonymous,
            countMax,
            kept
        )
    }
}
