import Core
import Crypto
import Storage

extension SQLiteAuthStore {
    func beginSession(_ beginning: SessionBeginning, revision: Int) async throws -> Bool {
        try await database.write { db in
            let stands = try db.first(
                """
                SELECT 1 FROM account
                WHERE user_id = ? AND revision = ? AND is_disabled = 0 AND deleted_at IS NULL
                """,
                beginning.session.userID,
                revision
            ) { _ in true }
            guard stands == true else { return false }
            try db.begin(beginning)
            return true
        }
    }

    func createSessions(_ sessions: [StoredSession], sessionsPerUserMax: Int, now: Timestamp) async throws {
        try await database.write { db in
            for session in sessions {
                try db.insert(session, SessionOrigin())
                try db.endOldest(of: session.userID, sparing: session.hash, keeping: sessionsPerUserMax, now)
            }
        }
    }

    func session(_ hash: SessionHash) async throws -> VerifiedSession? {
        try await database.read { db in
            try db.first(
                """
                SELECT \(Connection.sessionColumns), user_name, user_type, is_admin
                FROM session s JOIN account a USING (user_id)
                WHERE hash = ? AND is_disabled = 0 AND deleted_at IS NULL
                """,
                hash.bytes
            ) { row in
                VerifiedSession(
                    session: try row.session(),
                    userName: row.string(8),
                    userType: try row.userType(9),
                    isAdmin: row.bool(10)
                )
            }
        }
    }

    func sessions(of userID: String, now: Timestamp) async throws -> [SessionSummary] {
        try await database.read { db in
            try db.rows(
                """
                SELECT \(Connection.sessionColumns), remote_address, user_agent FROM session s
                WHERE user_id = ? AND replaced_by IS NULL AND expires_at > ? ORDER BY created_at DESC
                """,
                userID,
                now.milliseconds
            ) { row in
                SessionSummary(
                    session: try row.session(),
                    origin: SessionOrigin(remoteAddress: row.string(8), userAgent: row.string(9))
                )
            }
        }
    }

    func replaceSession(
        _ old: StoredSession,
        with new: StoredSession,
        nonce: [UInt8],
        graceEndsAt: Timestamp,
        now: Timestamp
    ) async throws -> [UInt8]? {
        try await database.write { db in
            let found = try db.first(
                """
                SELECT \(Connection.sessionColumns), remote_address, user_agent FROM session s
                WHERE hash = ?1 AND (expires_at > ?2 OR (replaced_by IS NULL AND ?3 > ?2))
                """,
                old.hash.bytes,
                now.milliseconds,
                old.expiresAt.milliseconds
            ) { row in
                (try row.session(), SessionOrigin(remoteAddress: row.string(8), userAgent: row.string(9)))
            }
            guard let (session, origin) = found else { return nil }
            if session.replacedBy != nil { return session.successorNonce }
            try db.run(
                """
                UPDATE session SET replaced_by = ?, successor_nonce = ?, expires_at = min(max(expires_at, ?), ?),
                    ends_at = min(ends_at, ?)
                WHERE hash = ?
                """,
                new.hash.bytes,
                nonce,
                old.expiresAt.milliseconds,
                graceEndsAt.milliseconds,
                graceEndsAt.milliseconds,
                old.hash.bytes
            )
            try db.insert(new, origin)
            try db.list(old.hash, replacedBy: new.hash.bytes, now)
            return nonce
        }
    }

    func endSession(_ hash: SessionHash, by actor: Actor, now: Timestamp) async throws -> AuditEntry? {
        try await database.write(evenWhenFull: true) { db in
            let userID = try db.first("SELECT user_id FROM session WHERE hash = ?", hash.bytes) { $0.string(0) }
            guard let userID else { return nil }
            try db.endChain(hash, of: userID, now)
            var actor = actor
            actor.userID = userID
            let entry = AuditEntry(.logout, by: actor, at: now)
            try db.insert(entry)
            return entry
        }
    }

    func endSession(handle: String, of userID: String, audit: AuditEntry) async throws -> Bool {
        try await database.write(evenWhenFull: true) { db in
            let hash = try db.first(
                "SELECT hash FROM session WHERE user_id = ? AND substr(hash, 1, ?) = ? AND expires_at > ?",
                userID,
                SessionHash.handleBytes,
                Base64URL.decode(handle),
                audit.at.milliseconds
            ) { try $0.sessionHash(0) }
            guard let hash else { return false }
            try db.endChain(hash, of: userID, audit.at)
            try db.insert(audit)
            return true
        }
    }

    func endSessions(of userID: String, sparing spared: SessionHash?, audit: AuditEntry) async throws -> Int {
        try await database.write(evenWhenFull: true) { db in
            let count = try db.endSessions(of: userID, sparing: spared, audit.at)
            if count > 0 { try db.insert(audit) }
            return count
        }
    }

    func hasSession(
        _ userID: String,
        now: Timestamp,
        from isSame: @escaping @Sendable (_ remoteAddress: String) -> Bool
    ) async throws -> Bool {
        try await database.read { db in
            try db.rows(
                "SELECT DISTINCT remote_address FROM session WHERE user_id = ? AND expires_at > ?",
                userID,
                now.milliseconds
            ) { $0.string(0) }
        }.contains(where: isSame)
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
}
