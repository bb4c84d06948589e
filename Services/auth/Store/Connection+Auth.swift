import Core
import Storage

// The statements that several of the store's transactions share.

extension Connection {
    // MARK: - Accounts

    /// What `Row.account` reads.
    static let accountColumns = """
        user_id, user_name, user_type, is_admin, is_disabled, capacity, created_at, password_hash, revision, expires_at
        """

    func account(_ userID: String) throws -> Account? {
        try first(
            "SELECT \(Self.accountColumns) FROM account WHERE user_id = ? AND deleted_at IS NULL",
            userID
        ) { try $0.account() }
    }

    /// The statement for a page of accounts.
    ///
    /// Only what is asked for stands in the text, and `1` as such, so that the few administrators and disabled accounts
    /// are found by their indexes among a million guests.
    static func accountsStatement(_ filter: AccountFilter) -> String {
        func condition(_ column: String, _ parameter: String, _ value: Bool?) -> String {
            guard let value else { return "\(parameter) IS NULL" }
            return value ? "\(column) = 1 AND \(parameter) = 1" : "\(column) = \(parameter)"
        }
        let conditions = [
            filter.userType == nil ? "?2 IS NULL" : "user_type = ?2",
            condition("is_admin", "?3", filter.isAdmin),
            condition("is_disabled", "?4", filter.isDisabled),
        ]
        // The sign keeps the index by type away from where a smaller one serves.
        let isRare = filter.isAdmin == true || filter.isDisabled == true
        return """
            SELECT \(accountColumns) FROM account
            WHERE deleted_at IS NULL AND user_id > ?1
                AND \(isRare ? "+" : "")\(conditions.joined(separator: " AND "))
            ORDER BY user_id LIMIT ?5
            """
    }

    func insert(_ account: Account) throws {
        do {
            try run(
                "INSERT INTO account (\(Self.accountColumns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                account.userID,
                account.userName,
                account.userType.rawValue,
                account.isAdmin,
                account.isDisabled,
                account.capacity,
                account.createdAt.milliseconds,
                account.passwordHash,
                account.revision,
                account.expiresAt?.milliseconds
            )
        } catch let error as SQLiteError where error.isUniqueViolation {
            throw AuthError.userExists(account.userID)
        }
    }

    /// Stores what an administrator may change.
    func update(_ account: Account) throws {
        try run(
            """
            UPDATE account SET user_name = ?, user_type = ?, is_admin = ?, is_disabled = ?, capacity = ?
            WHERE user_id = ?
            """,
            account.userName,
            account.userType.rawValue,
            account.isAdmin,
            account.isDisabled,
            account.capacity,
            account.userID
        )
    }

    /// Throws `AuthError.lastAdministrator` unless another one than `userID` can log in.
    func requireAdministrator(besides userID: String) throws {
        let other = try first(
            """
            SELECT 1 FROM account
            WHERE is_admin = 1 AND is_disabled = 0 AND deleted_at IS NULL AND password_hash IS NOT NULL AND user_id <> ?
            LIMIT 1
            """,
            userID
        ) { _ in true }
        guard other == true else { throw AuthError.lastAdministrator }
    }

    // MARK: - Sessions

    /// What `Row.session` reads, of `session s`.
    static let sessionColumns = """
        s.hash, user_id, s.created_at, used_at, s.expires_at, ends_at, replaced_by, successor_nonce
        """

    func insert(_ session: StoredSession, _ origin: SessionOrigin) throws {
        try run(
            """
            INSERT INTO session
                (hash, user_id, created_at, used_at, expires_at, ends_at, remote_address, user_agent)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            session.hash.bytes,
            session.userID,
            session.createdAt.milliseconds,
            session.usedAt.milliseconds,
            session.expiresAt.milliseconds,
            session.endsAt.milliseconds,
            origin.remoteAddress,
            origin.userAgent
        )
    }

    /// Adds a session with its audit entry; the user's oldest ones make room.
    func begin(_ beginning: SessionBeginning) throws {
        let session = beginning.session
        try insert(session, beginning.origin)
        try endOldest(
            of: session.userID,
            sparing: session.hash,
            keeping: beginning.sessionsPerUserMax,
            beginning.audit.at
        )
        try insert(beginning.audit)
    }

    /// Ends the user's oldest sessions, so that `count` stay, `newest` among them.
    ///
    /// Those in the grace of a refresh do not count: their successor does.
    func endOldest(of userID: String, sparing newest: SessionHash, keeping count: Int, _ now: Timestamp) throws {
        let surplus = try rows(
            """
            SELECT hash FROM session WHERE user_id = ? AND hash <> ? AND replaced_by IS NULL
            ORDER BY created_at DESC LIMIT -1 OFFSET ?
            """,
            userID,
            newest.bytes,
            count - 1
        ) { try $0.sessionHash(0) }
        for hash in surplus { try end(hash, now) }
    }

    /// Ends all of a user's sessions but one and its successors, and lets no login that began before become one.
    ///
    /// - Returns: How many were ended, each once with all that it was before a refresh.
    @discardableResult
    func endSessions(of userID: String, sparing spared: SessionHash? = nil, _ now: Timestamp) throws -> Int {
        try run("UPDATE account SET revision = revision + 1 WHERE user_id = ?", userID)
        let staying = Set(try spared.map(successors) ?? [])
        let ended = try rows("SELECT hash, replaced_by FROM session WHERE user_id = ?", userID) { row in
            (hash: try row.sessionHash(0), isReplaced: !row.isNull(1))
        }.filter { !staying.contains($0.hash) }
        for session in ended { try end(session.hash, now, namingSuccessor: false) }
        return ended.count { !$0.isReplaced }
    }

    /// Ends a user's session, those that refreshes put in its place, and those whose place it took, which would
    /// otherwise live on for the rest of their grace.
    func endChain(_ hash: SessionHash, of userID: String, _ now: Timestamp) throws {
        // Without its successor's name: that one ends too.
        for hash in try predecessors(hash, of: userID) + successors(hash) {
            try end(hash, now, namingSuccessor: false)
        }
    }

    /// The sessions that were refreshed into this one and are in their grace.
    private func predecessors(_ hash: SessionHash, of userID: String) throws -> [SessionHash] {
        let refreshed = try rows(
            "SELECT hash, replaced_by FROM session WHERE user_id = ? AND replaced_by IS NOT NULL",
            userID
        ) { row in (hash: try row.sessionHash(0), successor: SessionHash(bytes: row.bytes(1))) }
        var origins: [SessionHash: SessionHash] = [:]
        for one in refreshed { one.successor.map { origins[$0] = one.hash } }
        var found: [SessionHash] = []
        var next = origins.removeValue(forKey: hash)
        while let hash = next {
            found.append(hash)
            next = origins.removeValue(forKey: hash)
        }
        return found
    }

    /// A session, its successor, and so on.
    private func successors(_ hash: SessionHash) throws -> [SessionHash] {
        var chain: [SessionHash] = []
        var next: SessionHash? = hash
        while let hash = next {
            chain.append(hash)
            let successor = try first("SELECT replaced_by FROM session WHERE hash = ?", hash.bytes) {
                $0.optionalBytes(0)
            }
            next = successor.flatMap { $0 }.flatMap(SessionHash.init(bytes:))
        }
        return chain
    }

    /// Ends one session, if it is there, and lists it.
    func end(_ hash: SessionHash, _ now: Timestamp, namingSuccessor: Bool = true) throws {
        let ended = try first("DELETE FROM session WHERE hash = ? RETURNING replaced_by", hash.bytes) {
            $0.optionalBytes(0)
        }
        guard let ended else { return }
        try list(hash, replacedBy: namingSuccessor ? ended : nil, now)
    }

    // MARK: - The feed

    /// How many entries are listed.
    func revocationCount() throws -> Int {
        // Numbers have no holes.
        try first("SELECT max(number) - min(number) + 1 FROM revocation") { $0.int(0) } ?? 0
    }

    /// Lists an ended session under the next number.
    func list(_ hash: SessionHash, replacedBy: [UInt8]?, _ now: Timestamp) throws {
        try run(
            "INSERT INTO revocation (session_hash, replaced_by, at) VALUES (?, ?, ?)",
            hash.bytes,
            replacedBy,
            now.milliseconds
        )
    }

    /// Lists a changed account under the next number.
    func listChange(of userID: String, _ now: Timestamp) throws {
        try run("INSERT INTO revocation (user_id, at) VALUES (?, ?)", userID, now.milliseconds)
    }
}

extension Row {
    func timestamp(_ column: Int) -> Timestamp { Timestamp(milliseconds: int64(column)) }

    /// `Connection.accountColumns`.
    func account() throws -> Account {
        Account(
            userID: string(0),
            userName: string(1),
            userType: try userType(2),
            isAdmin: bool(3),
            isDisabled: bool(4),
            capacity: optionalInt64(5).map { Int($0) },
            createdAt: timestamp(6),
            passwordHash: optionalString(7),
            revision: int(8),
            expiresAt: isNull(9) ? nil : timestamp(9)
        )
    }

    /// `Connection.sessionColumns`.
    func session() throws -> StoredSession {
        StoredSession(
            hash: try sessionHash(0),
            userID: string(1),
            createdAt: timestamp(2),
            usedAt: timestamp(3),
            expiresAt: timestamp(4),
            endsAt: timestamp(5),
            replacedBy: optionalBytes(6).flatMap(SessionHash.init(bytes:)),
            successorNonce: optionalBytes(7)
        )
    }

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
