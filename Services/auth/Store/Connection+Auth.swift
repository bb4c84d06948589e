import Core
import Storage

// The statements that several of the store's transactions share.

extension Connection {
    func account(_ userID: String) throws -> Account? {
        try first(
            """
            SELECT user_id, user_name, user_type, is_admin, is_disabled, capacity, created_at, password_hash
            FROM account WHERE user_id = ? AND deleted_at IS NULL
            """,
            userID
        ) { row in
            Account(
                userID: row.string(0),
                userName: row.string(1),
                userType: try row.userType(2),
                isAdmin: row.bool(3),
                isDisabled: row.bool(4),
                capacity: row.optionalInt64(5).map { Int($0) },
                createdAt: row.timestamp(6),
                passwordHash: row.optionalString(7)
            )
        }
    }

    func insert(_ account: Account) throws {
        do {
            try run(
                """
                INSERT INTO account
                    (user_id, user_name, user_type, is_admin, is_disabled, capacity, created_at, password_hash)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
                account.userID,
                account.userName,
                account.userType.rawValue,
                account.isAdmin,
                account.isDisabled,
                account.capacity,
                account.createdAt.milliseconds,
                account.passwordHash
            )
        } catch let error as SQLiteError where error.isUniqueViolation {
            throw AuthError.userExists(account.userID)
        }
    }

    func insert(_ session: StoredSession) throws {
        try run(
            """
            INSERT INTO session (hash, user_id, created_at, used_at, expires_at, ends_at, replaced_by)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            session.hash.bytes,
            session.userID,
            session.createdAt.milliseconds,
            session.usedAt.milliseconds,
            session.expiresAt.milliseconds,
            session.endsAt.milliseconds,
            session.replacedBy?.bytes
        )
    }

    /// Ends the user's oldest sessions, so that `count` stay, `newest` among them.
    func endOldest(of userID: String, sparing newest: SessionHash, keeping count: Int, _ now: Timestamp) throws {
        let surplus = try rows(
            "SELECT hash FROM session WHERE user_id = ? AND hash <> ? ORDER BY created_at DESC LIMIT -1 OFFSET ?",
            userID,
            newest.bytes,
            count - 1
        ) { try $0.sessionHash(0) }
        for hash in surplus { try end(hash, now) }
    }

    /// Ends one session, if it is there, and lists it.
    func end(_ hash: SessionHash, _ now: Timestamp, namingSuccessor: Bool = true) throws {
        let ended = try first("DELETE FROM session WHERE hash = ? RETURNING replaced_by", hash.bytes) {
            $0.optionalBytes(0)
        }
        guard let ended else { return }
        try list(hash, replacedBy: namingSuccessor ? ended : nil, now)
    }

    /// How many ended sessions are listed.
    func revocationCount() throws -> Int {
        // Numbers have no holes.
        try first("SELECT max(number) - min(number) + 1 FROM revocation") { $0.int(0) } ?? 0
    }

    /// Lists an ended session under the next number.
    func list(_ hash: SessionHash, replacedBy: [UInt8]?, _ now: Timestamp) throws {
        try run(
            "INSERT INTO revocation (session_hash, replaced_by, ended_at) VALUES (?, ?, ?)",
            hash.bytes,
            replacedBy,
            now.milliseconds
        )
    }

}

extension Row {
    func timestamp(_ column: Int) -> Timestamp { Timestamp(milliseconds: int64(column)) }

    func userType(_ column: Int) throws -> UserType {
        guard let type = UserType(rawValue: string(column)) else { throw DamagedRow(column: "user_type") }
        return type
    }

    func sessionHash(_ column: Int) throws -> SessionHash {
        guard let hash = SessionHash(bytes: bytes(column)) else { throw DamagedRow(column: "hash") }
        return hash
    }
}

/// A stored value that no version of this program writes.
struct DamagedRow: Error {
    let column: String
}
