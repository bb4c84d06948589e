import Core
import Storage

extension SQLiteAuthStore {
    func account(_ userID: String) async throws -> Account? {
        try await database.read { try $0.account(userID) }
    }

    func accounts(_ userIDs: [String]) async throws -> [Account] {
        try await database.read { db in try userIDs.compactMap { try db.account($0) } }
    }

    func accounts(_ filter: AccountFilter, after cursor: String?, limit: Int) async throws -> [Account] {
        try await database.read { db in
            try db.rows(
                Connection.accountsStatement(filter),
                cursor ?? "",
                filter.userType?.rawValue,
                filter.isAdmin,
                filter.isDisabled,
                limit
            ) { try $0.account() }
        }
    }

    func createAccounts(_ accounts: [Account], audit: [AuditEntry]) async throws {
        try await database.write { db in
            for account in accounts { try db.insert(account) }
            for entry in audit { try db.insert(entry) }
        }
    }

    func updateAccount(
        _ userID: String,
        _ change: AccountChange,
        by actor: Actor,
        now: Timestamp
    ) async throws -> (account: Account, audit: AuditEntry?)? {
        try await database.write(evenWhenFull: change.takesRights) { db in
            guard let before = try db.account(userID) else { return nil }
            let after = try change.applied(to: before)
            let names = after.differences(from: before)
            guard !names.isEmpty else { return (before, nil) }
            if before.isWorkingAdministrator, !after.isWorkingAdministrator {
                try db.requireAdministrator(besides: userID)
            }
            try db.update(after)
            if after.endsSessions(of: before) { try db.endSessions(of: userID, now) }
            try db.listChange(of: userID, now)
            let entry = AuditEntry(
                .userUpdated,
                by: actor,
                at: now,
                userID: userID,
                details: after.auditDetails(of: names)
            )
            try db.insert(entry)
            return (after, entry)
        }
    }

    func deleteAccount(_ userID: String, audit: AuditEntry) async throws -> Bool {
        try await database.write(evenWhenFull: true) { db in
            guard let account = try db.account(userID) else { return false }
            if account.isWorkingAdministrator { try db.requireAdministrator(besides: userID) }
            try db.endSessions(of: userID, audit.at)
            if account.isGuest {
                try db.run("DELETE FROM account WHERE user_id = ?", userID)
            } else {
                // A tombstone without anything personal, so that the id is never given out again.
                try db.run(
                    """
                    UPDATE account SET deleted_at = ?, password_hash = NULL, user_name = '', is_admin = 0,
                        capacity = NULL, expires_at = NULL
                    WHERE user_id = ?
                    """,
                    audit.at.milliseconds,
                    userID
                )
            }
            try db.listChange(of: userID, audit.at)
            try db.insert(audit)
            return true
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

    func setPassword(
        _ userID: String,
        hash: String,
        revision: Int?,
        sparing spared: SessionHash?,
        audit: AuditEntry
    ) async throws -> Bool {
        try await database.write(evenWhenFull: true) { db in
            let changed = try db.run(
                """
                UPDATE account SET password_hash = ?1, revision = revision + 1
                WHERE user_id = ?2 AND deleted_at IS NULL AND (?3 IS NULL OR revision = ?3)
                """,
                hash,
                userID,
                revision
            )
            guard changed == 1 else { return false }
            try db.endSessions(of: userID, sparing: spared, audit.at)
            try db.insert(audit)
            return true
        }
    }

    // MARK: - Guests and exchanged tokens

    func createGuest(_ account: Account, _ beginning: SessionBeginning) async throws {
        try await database.write { db in
            try db.insert(account)
            try db.begin(beginning)
        }
    }

    func guestCount() async throws -> Int {
        try await database.read { db in
            try db.first("SELECT count(*) FROM account WHERE expires_at IS NOT NULL") { $0.int(0) } ?? 0
        }
    }

    func deleteExpiredGuests(now: Timestamp, countMax: Int) async throws -> Int {
        let isDue = try await database.read { db in
            try db.first("SELECT 1 FROM account WHERE expires_at <= ? LIMIT 1", now.milliseconds) { _ in true } ?? false
        }
        guard isDue else { return 0 }
        return try await database.write { db in
            let userIDs = try db.rows(
                "SELECT user_id FROM account WHERE expires_at <= ? ORDER BY expires_at LIMIT ?",
                now.milliseconds,
                countMax
            ) { $0.string(0) }
            for userID in userIDs {
                try db.endSessions(of: userID, now)
                try db.run("DELETE FROM account WHERE user_id = ?", userID)
                try db.listChange(of: userID, now)
            }
            return userIDs.count
        }
    }

    func exchange(
        token: [UInt8],
        expiresAt tokenExpiresAt: Timestamp,
        for customer: Account,
        naming userName: String?,
        _ beginning: SessionBeginning
    ) async throws -> Account {
        try await database.write { db in
            let now = beginning.audit.at
            try db.run("DELETE FROM exchanged_token WHERE expires_at <= ?", now.milliseconds)
            let added = try db.run(
                "INSERT INTO exchanged_token VALUES (?, ?) ON CONFLICT DO NOTHING",
                token,
                tokenExpiresAt.milliseconds
            )
            guard added == 1 else { throw AuthError.invalidToken(rule: "jti must not have been used before") }
            var account = customer
            if let known = try db.account(customer.userID) {
                guard known.userType == .customer, !known.isDisabled, !known.isGuest else {
                    throw AuthError.accountUnusable
                }
                account = known
                if let userName, known.userName != userName {
                    account.userName = userName
                    try db.update(account)
                    try db.listChange(of: account.userID, now)
                }
            } else {
                do { try db.insert(customer) } catch AuthError.userExists { throw AuthError.accountUnusable }
            }
            try db.begin(beginning)
            return account
        }
    }
}

extension Account {
    /// Whether it can administrate: there must always be one that can.
    fileprivate var isWorkingAdministrator: Bool { isAdmin && !isDisabled && passwordHash != nil }

    /// What the audit trail says of changed members: the new value, but not the name, which is personal.
    fileprivate func auditDetails(of names: [String]) -> [String: String] {
        var details: [String: String] = ["changed": names.joined(separator: ",")]
        for name in names {
            switch name {
            case "user_type": details[name] = userType.rawValue
            case "is_admin": details[name] = String(isAdmin)
            case "disabled": details[name] = String(isDisabled)
            case "capacity": details[name] = capacity.map(String.init) ?? "default"
            default: break
            }
        }
        return details
    }
}
