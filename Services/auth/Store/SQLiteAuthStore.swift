import Core
import Crypto
import Storage

/// Accounts, sessions and the audit trail in one SQLite database, a file or a copy of what several instances share.
///
/// The service's commands, or the other instances, have it open at the same time.
final class SQLiteAuthStore: AuthStore {
    let database: Database
    let revocationsKept: Int

    /// The newest entries of the feed that stay; who is further behind verifies everything again.
    static let revocationsKeptDefault = 10_000

    /// - Parameters:
    ///   - database: Opened with `AuthSchema.migrations`.
    ///   - revocationsKept: The newest entries of the feed that stay.
    init(_ database: Database, revocationsKept: Int = revocationsKeptDefault) {
        self.database = database
        self.revocationsKept = revocationsKept
    }

    func ping() async throws { try await database.read { db in _ = try db.pragma("user_version") } }

    func close() async { await database.close() }

    // MARK: - The feed

    func revocationState() async throws -> RevocationState {
        try await database.write { db in
            // Made at the first start; an operator who restores a backup takes it away.
            try db.run(
                "INSERT INTO property VALUES ('revocation_epoch', ?) ON CONFLICT DO NOTHING",
                SecureRandom.token(bytes: 9)
            )
            return RevocationState(
                epoch: try db.first("SELECT value FROM property WHERE name = 'revocation_epoch'") { $0.string(0) }
                    ?? "",
                trimmedThrough: try db.first("SELECT coalesce(min(number), 1) - 1 FROM revocation") { $0.int(0) } ?? 0
            )
        }
    }

    func revocations(after number: Int, limit: Int) async throws -> [RevocationEntry] {
        try await database.read { db in
            try db.rows(
                """
                SELECT number, session_hash, replaced_by, user_id FROM revocation
                WHERE number > ? ORDER BY number LIMIT ?
                """,
                number,
                limit
            ) { row in
                if let userID = row.optionalString(3) {
                    return RevocationEntry(number: row.int(0), subject: .user(userID))
                }
                let successor = row.optionalBytes(2).flatMap(SessionHash.init(bytes:))
                return RevocationEntry(
                    number: row.int(0),
                    subject: .session(try row.sessionHash(1), replacedBy: successor)
                )
            }
        }
    }

    // MARK: - The audit trail

    func append(_ entries: [AuditEntry]) async throws {
        try await database.write { db in
            for entry in entries { try db.insert(entry) }
        }
    }

    func auditEntries(
        _ filter: AuditFilter,
        before position: AuditPosition?,
        limit: Int
    ) async throws -> [(position: AuditPosition, entry: AuditEntry)] {
        try await database.read { try $0.auditEntries(filter, before: position, limit: limit) }
    }

    func trimAudit(_ limits: AuditLimits, countMax: Int) async throws -> Int {
        let shares = [(false, limits.entriesMax), (true, limits.anonymousEntriesMax)]
        // Looked at first, since counting off a million entries is not to hold up writers for nothing.
        let full = try await database.read { db in
            try shares.filter { try db.hasAudit(isAnonymous: $0.0, past: $0.1) }
        }
        guard !full.isEmpty else { return 0 }
        return try await database.write { db in
            try full.reduce(0) { try $0 + db.trimAudit(isAnonymous: $1.0, keeping: $1.1, countMax) }
        }
    }
}
