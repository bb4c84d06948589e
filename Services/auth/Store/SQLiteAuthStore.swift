import Core
import Crypto
import Storage

/// Accounts and sessions in one SQLite file.
///
/// The service's commands may have it open at the same time.
final class SQLiteAuthStore: AuthStore {
    private let database: Database

    private let revocationsKept: Int

    /// The newest ended sessions that stay listed; who is further behind verifies everything again.
    static let revocationsKeptDefault = 10_000

    private init(_ database: Database, revocationsKept: Int) {
        self.database = database
        self.revocationsKept = revocationsKept
    }

    /// Opens `<directory>/auth.db`, making and migrating it as needed.
    static func open(
        directory: String,
        revocationsKept: Int = revocationsKeptDefault
    ) async throws -> SQLiteAuthStore {
        let database = try await Database.open(path: directory + "/auth.db", migrations: AuthSchema.migrations)
        return SQLiteAuthStore(database, revocationsKept: revocationsKept)
    }

    func ping() async throws { try await database.read { db in _ = try db.pragma("user_version") } }

    func close() async { await database.close() }

    // MARK: - Accounts

    func account(_ userID: String) async throws -> Account? {
        try await database.read { try $0.account(userID) }
    }

    func accounts(_ userIDs: [String]) async throws -> [Account] {
        try await database.read { db in try userIDs.compactMap { try db.account($0) } }
    }

    func createAccounts(_ accounts: [Account]) async throws {
        try await database.write { db in
            for account in accounts { try db.insert(account) }
        }
    }

    func rehash(_ userID: String, from current: String, to hash: String) async throws {
        try await database.write { db in
            try db.run(
                "UPDATE account SET password_hash = ? WHERE user_id = ? AND password_hash = ?",
                hash,
                userID,
                current
            )
        }
    }

    func setPassword(_ userID: String, hash: String, now: Timestamp) async throws {
        try await database.write { db in
            try db.run("UPDATE account SET password_hash = ? WHERE user_id = ?", hash, userID)
            let sessions = try db.rows("SELECT hash FROM session WHERE user_id = ?", userID) { try $0.sessionHash(0) }
            for session in sessions { try db.end(session, now) }
        }
    }

    // MARK: - Sessions

    func createSessions(_ sessions: [StoredSession], sessionsPerUserMax: Int, now: Timestamp) async throws {
        try await database.write { db in
            for session in sessions {
                try db.insert(session)
                try db.endOldest(of: session.userID, sparing: session.hash, keeping: sessionsPerUserMax, now)
            }
        }
    }

    func session(_ hash: SessionHash) async throws -> VerifiedSession? {
        try await database.read { db in
            try db.first(
                """
                SELECT user_id, s.created_at, used_at, expires_at, ends_at, replaced_by, user_name, user_type, is_admin
                FROM session s JOIN account a USING (user_id)
                WHERE hash = ? AND is_disabled = 0 AND deleted_at IS NULL
                """,
                hash.bytes
            ) { row in
                VerifiedSession(
                    session: StoredSession(
                        hash: hash,
                        userID: row.string(0),
                        createdAt: row.timestamp(1),
                        usedAt: row.timestamp(2),
                        expiresAt: row.timestamp(3),
                        endsAt: row.timestamp(4),
                        replacedBy: row.optionalBytes(5).flatMap(SessionHash.init(bytes:))
                    ),
                    userName: row.string(6),
                    userType: try row.userType(7),
                    isAdmin: row.bool(8)
                )
            }
        }
    }

    func replaceSession(
        _ old: SessionHash,
        with new: StoredSession,
        graceEndsAt: Timestamp,
        now: Timestamp
    ) async throws -> Bool {
        try await database.write { db in
            let changed = try db.run(
                """
                UPDATE session SET replaced_by = ?, expires_at = min(expires_at, ?), ends_at = min(ends_at, ?)
                WHERE hash = ? AND replaced_by IS NULL AND expires_at > ?
                """,
                new.hash.bytes,
                graceEndsAt.milliseconds,
                graceEndsAt.milliseconds,
                old.bytes,
                now.milliseconds
            )
            guard changed == 1 else {
                return try db.first(
                    "SELECT 1 FROM session WHERE hash = ? AND replaced_by = ? AND expires_at > ?",
                    old.bytes,
                    new.hash.bytes,
                    now.milliseconds
                ) { _ in true } ?? false
            }
            try db.insert(new)
            try db.list(old, replacedBy: new.hash.bytes, now)
            return true
        }
    }

    func endSession(_ hash: SessionHash, now: Timestamp) async throws -> String? {
        try await database.write { db in
            let userID = try db.first("SELECT user_id FROM session WHERE hash = ?", hash.bytes) { $0.string(0) }
            var next: SessionHash? = hash
            while let hash = next {
                let successor = try db.first("SELECT replaced_by FROM session WHERE hash = ?", hash.bytes) {
                    $0.optionalBytes(0)
                }
                // Without its successor's name: that one ends too.
                try db.end(hash, now, namingSuccessor: false)
                next = successor.flatMap { $0 }.flatMap(SessionHash.init(bytes:))
            }
            return userID
        }
    }

    func sweep(touches: [SessionTouch], now: Timestamp, expiredMax: Int) async throws -> Int {
        // A quarter more than is kept may be listed, so that not every sweep writes.
        let listedMax = revocationsKept + revocationsKept / 4
        let isDue = try await database.read { db in
            let hasExpired = try db.first("SELECT 1 FROM session WHERE expires_at <= ? LIMIT 1", now.milliseconds) {
                _ in
                true
            }
            return try hasExpired ?? (db.revocationCount() > listedMax)
        }
        guard isDue || !touches.isEmpty else { return 0 }
        return try await database.write { [revocationsKept] db in
            for touch in touches {
                // A refresh in the meantime has the last word.
                try db.run(
                    "UPDATE session SET used_at = ?, expires_at = ? WHERE hash = ? AND replaced_by IS NULL",
                    touch.usedAt.milliseconds,
                    touch.expiresAt.milliseconds,
                    touch.hash.bytes
                )
            }
            let expired = try db.rows(
                "SELECT hash FROM session WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
                now.milliseconds,
                expiredMax
            ) { try $0.sessionHash(0) }
            for hash in expired { try db.end(hash, now) }
            if try db.revocationCount() > listedMax {
                try db.run(
                    "DELETE FROM revocation WHERE number <= (SELECT max(number) FROM revocation) - ?",
                    revocationsKept
                )
            }
            return expired.count
        }
    }

    // MARK: - Revocations

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

    func endedSessions(after number: Int, limit: Int) async throws -> [EndedSession] {
        try await database.read { db in
            try db.rows(
                "SELECT number, session_hash, replaced_by FROM revocation WHERE number > ? ORDER BY number LIMIT ?",
                number,
                limit
            ) { row in
                EndedSession(
                    number: row.int(0),
                    hash: try row.sessionHash(1),
                    replacedBy: row.optionalBytes(2).flatMap(SessionHash.init(bytes:))
                )
            }
        }
    }
}
