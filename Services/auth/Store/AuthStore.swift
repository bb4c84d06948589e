import Core

/// A use of a session on its way to the store.
struct SessionTouch: Sendable, Equatable {
    let hash: SessionHash
    let usedAt: Timestamp
    let expiresAt: Timestamp
}

/// One entry of the feed that other services follow, numbered when it was committed.
struct RevocationEntry: Sendable, Equatable {
    enum Subject: Sendable, Equatable {
        /// A session has ended, in favour of the one named after a refresh.
        case session(SessionHash, replacedBy: SessionHash?)
        /// An account was changed or deleted.
        case user(String)
    }

    let number: Int
    let subject: Subject
}

/// The feed as it is stored.
struct RevocationState: Sendable, Equatable {
    /// Made with the store; numbers of another one mean nothing.
    let epoch: String
    /// Everything up to here is no longer listed.
    let trimmedThrough: Int
}

/// A session that is to begin, with all that is stored in the same step.
struct SessionBeginning: Sendable {
    let session: StoredSession
    let origin: SessionOrigin
    /// Sessions of one user; the oldest ones past it end.
    let sessionsPerUserMax: Int
    let audit: AuditEntry
}

/// Where accounts, sessions and the audit trail are kept.
///
/// Each call is one transaction, durable when it returns. Whatever ends a session or changes an account also lists it
/// in the feed, under the next number, and its audit entry, in the same transaction.
protocol AuthStore: Sendable {
    /// Answers if the store can be reached.
    func ping() async throws
    /// Waits for the calls before it and closes.
    func close() async

    // MARK: Accounts

    /// The account of that id; `nil` if there is none or it was deleted.
    func account(_ userID: String) async throws -> Account?
    /// The accounts of those ids that exist, in no particular order.
    func accounts(_ userIDs: [String]) async throws -> [Account]
    /// Accounts in the order of their ids, those after `cursor`.
    func accounts(_ filter: AccountFilter, after cursor: String?, limit: Int) async throws -> [Account]
    /// Adds accounts with their audit entries, all or none.
    ///
    /// - Throws: `AuthError.userExists` when an id is, or was, given out.
    func createAccounts(_ accounts: [Account], audit: [AuditEntry]) async throws
    /// Changes an account, and ends its sessions if they are not to outlive that.
    ///
    /// - Returns: The account now and the audit entry, which is `nil` when nothing changed; `nil` if there is no such
    ///   account.
    /// - Throws: `AuthError.lastAdministrator`, `.invalidField`; nothing is changed then.
    func updateAccount(
        _ userID: String,
        _ change: AccountChange,
        by actor: Actor,
        now: Timestamp
    ) async throws -> (account: Account, audit: AuditEntry?)?
    /// Deletes an account, a guest's without a trace, ending its sessions.
    ///
    /// - Returns: False if there is no such account.
    /// - Throws: `AuthError.lastAdministrator`.
    func deleteAccount(_ userID: String, audit: AuditEntry) async throws -> Bool
    /// Replaces the password hash if it is still `current`; for a better hash of the same password.
    func rehash(_ userID: String, from current: String, to hash: String) async throws
    /// Sets the password hash and ends the user's sessions.
    ///
    /// - Parameters:
    ///   - revision: The account's that this was decided on; `nil`: whatever it is.
    ///   - spared: A session that goes on, with what a refresh has put in its place.
    /// - Returns: False, and nothing is changed, if there is no such account of that revision.
    func setPassword(
        _ userID: String,
        hash: String,
        revision: Int?,
        sparing spared: SessionHash?,
        audit: AuditEntry
    ) async throws -> Bool

    // MARK: Guests and exchanged tokens

    /// Adds a guest's account and its session.
    func createGuest(_ account: Account, _ beginning: SessionBeginning) async throws
    /// Guests' accounts there are.
    func guestCount() async throws -> Int
    /// Deletes up to `countMax` guests' accounts that have expired, sessions included.
    ///
    /// - Returns: How many were deleted.
    func deleteExpiredGuests(now: Timestamp, countMax: Int) async throws -> Int
    /// Uses a token up: makes its customer's account if there is none, gives it the token's name, begins the session.
    ///
    /// - Parameters:
    ///   - token: The token's identity, unique among all that are not expired.
    ///   - tokenExpiresAt: Until then it is remembered.
    ///   - customer: The account, if it is to be made.
    ///   - userName: The name that an account which is there is given; `nil`: it keeps its own.
    /// - Returns: The account.
    /// - Throws: `AuthError.invalidToken` for a repeated one, `.accountUnusable` when the account is not a customer's,
    ///   is disabled or was deleted.
    func exchange(
        token: [UInt8],
        expiresAt tokenExpiresAt: Timestamp,
        for customer: Account,
        naming userName: String?,
        _ beginning: SessionBeginning
    ) async throws -> Account

    // MARK: Sessions

    /// Begins a session of an account that still is of that revision and not disabled.
    ///
    /// - Returns: False, and nothing is stored, otherwise.
    func beginSession(_ beginning: SessionBeginning, revision: Int) async throws -> Bool
    /// Adds sessions for load tests; of a user's more than `sessionsPerUserMax`, the oldest are ended.
    func createSessions(_ sessions: [StoredSession], sessionsPerUserMax: Int, now: Timestamp) async throws
    /// The session of that hash with its account's data; `nil` if there is none, or its account is disabled.
    ///
    /// It may have expired.
    func session(_ hash: SessionHash) async throws -> VerifiedSession?
    /// A user's live sessions but those that were refreshed, the newest first.
    func sessions(of userID: String, now: Timestamp) async throws -> [SessionSummary]
    /// Puts a new session in the place of `old`, which ends at `graceEndsAt` and is listed now and then.
    ///
    /// - Parameters:
    ///   - old: A session as it was verified: a use that is not written back yet counts.
    ///   - new: The successor that `nonce` leads to.
    /// - Returns: The nonce of `old`'s successor, another one if it was refreshed already; `nil` if it does not live.
    func replaceSession(
        _ old: StoredSession,
        with new: StoredSession,
        nonce: [UInt8],
        graceEndsAt: Timestamp,
        now: Timestamp
    ) async throws -> [UInt8]?
    /// Ends the session, those that a refresh put in its place, and those whose place it took.
    ///
    /// - Returns: The user, `nil` if there was no such session.
    func endSession(_ hash: SessionHash, by actor: Actor, now: Timestamp) async throws -> AuditEntry?
    /// Ends a user's session of that handle.
    ///
    /// - Returns: False if there is none.
    func endSession(handle: String, of userID: String, audit: AuditEntry) async throws -> Bool
    /// Ends a user's sessions.
    ///
    /// - Returns: How many were ended; without any, nothing is audited.
    func endSessions(of userID: String, sparing spared: SessionHash?, audit: AuditEntry) async throws -> Int
    /// Whether the account has a live session that was begun at an address of which `isSame` says so.
    func hasSession(
        _ userID: String,
        now: Timestamp,
        from isSame: @escaping @Sendable (_ remoteAddress: String) -> Bool
    ) async throws -> Bool
    /// Writes uses back, then ends up to `expiredMax` sessions that have expired.
    ///
    /// - Returns: How many were ended.
    func sweep(touches: [SessionTouch], now: Timestamp, expiredMax: Int) async throws -> Int

    // MARK: The feed

    /// The feed's epoch and first number.
    func revocationState() async throws -> RevocationState
    /// The feed's entries with numbers over `number`, ascending.
    func revocations(after number: Int, limit: Int) async throws -> [RevocationEntry]

    // MARK: The audit trail

    /// Adds entries; those with a report's id that is there already are passed over.
    func append(_ entries: [AuditEntry]) async throws
    /// Entries, the newest first, before `position`.
    func auditEntries(
        _ filter: AuditFilter,
        before position: AuditPosition?,
        limit: Int
    ) async throws -> [(position: AuditPosition, entry: AuditEntry)]
    /// Deletes the oldest entries past the limits, up to `countMax` of each share.
    ///
    /// - Returns: How many were deleted.
    func trimAudit(_ limits: AuditLimits, countMax: Int) async throws -> Int
}
