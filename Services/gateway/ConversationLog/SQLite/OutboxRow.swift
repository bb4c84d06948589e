import Core
import Storage

/// The `kind` of an outbox row.
enum OutboxKind: String {
    case route, answered, revoke
}

extension RoutingNeed {
    /// Reads `q`, `user`, `user_type` and `agent`, which stand from `column` on.
    init?(_ row: Row, from column: Int, conversationID: String) {
        guard let requesterType = UserType(rawValue: row.string(column + 2)) else { return nil }
        self.init(
            conversationID: conversationID,
            sequence: row.int(column),
            requestedBy: row.string(column + 1),
            requesterType: requesterType,
            agentID: row.optionalString(column + 3)
        )
    }
}

extension OutboxItem {
    /// The columns that `init` reads, of `outbox o JOIN conversation n`.
    static let columns = "o.n, o.kind, n.name, o.q, o.user, o.user_type, o.agent, o.file, o.source"

    init?(_ row: Row) {
        let conversationID = row.string(2)
        let work: Work?
        switch OutboxKind(rawValue: row.string(1)) {
        case .route: work = RoutingNeed(row, from: 3, conversationID: conversationID).map { .route($0) }
        case .answered:
            work = .answered(conversationID: conversationID, agentID: row.string(6), sequence: row.int(3))
        case .revoke: work = .revoke(GrantedFile(fileID: row.string(7), source: row.string(8)))
        case nil: work = nil
        }
        guard let work else { return nil }
        self.init(number: row.int64(0), work: work)
    }
}
