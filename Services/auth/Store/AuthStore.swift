import Core

/// One ended session, numbered when its end was committed.
struct EndedSession: Sendable, Equatable {
    let number: Int
    let hash: SessionHash
    let replacedBy: SessionHash?
}

/// A use of a session on its way to the store.
struct SessionTouch: Sendable, Equatable {
    let hash: SessionHash
    let usedAt: Timestamp
    let expiresAt: Timestamp
}

/// The feed of ended sessions as it is stored.
struct RevocationState: Sendable, Equatable {
    /// Made with the store; numbers of another one mean nothing.
    let epoch: String
    /// Everything up to here is no longer listed.
    let trimmedThrough: Int
}

/// Where accounts and sessions are kept.
///
/// Each call is one transaction, durable when it returns. Whatever ends a session also lists it, under the next number,
/// in the same transaction.
protocol AuthStore: Sendable {
    /// Answers if the store can be reached.
    func ping() async throws
    /// Waits for the calls before it and closes.
    func close() async

    /// The account of that id; `nil` if there is none or it was deleted.
    func account(_ userID: String) async throws -> Account?
    /// The accounts of those ids that exist, in no particular order.
    func accounts(_ userIDs: [String]) async throws -> [Account]
    /// Adds accounts, all or none.
    ///
    /// - Throws: `AuthError.userExists` when an id is, or was, given out.
    func createAccounts(_ accounts: [Account]) async throws
    /// Replaces the password hash if it is still `current`; for a better hash of the same password.
    func rehash(_ userID: String, from current: String, to hash: String) async throws
    /// Sets the password hash and ends all of the user's sessions.
    func setPassword(_ userID: String, hash: String, now: Timestamp) async throws

    /// Adds sessions; of a user's more than `sessionsPerUserMax`, the oldest are ended.
    func createSessions(_ sessions: [StoredSession], sessionsPerUserMax: Int, now: Timestamp) async throws
    /// The session of that hash with its account's data; `nil` if there is none, or its account is disabled.
    ///
    /// It may have expired.
    func session(_ hash: SessionHash) async throws -> VerifiedSession?
    /// Puts `new` in the place of `old`, which ends at `graceEndsAt` and is listed now and then.
    ///
    /// - Returns: False if `old` does not live or has another successor; true also when `new` is in its place already.
    func replaceSession(
        _ old: SessionHash,
        with new: StoredSession,
        graceEndsAt: Timestamp,
        now: Timestamp
    ) async throws -> Bool
    /// Ends the session and those that a refresh put in its place.
    ///
    /// - Returns: The user, `nil` if there was no such session.
    func endSession(_ hash: SessionHash, now: Timestamp) async throws -> String?
    /// Writes uses back, then ends up to `expiredMax` sessions that have expired.
    ///
    /// - Returns: How many were ended.
    func sweep(touches: [SessionTouch], now: Timestamp, expiredMax: Int) async throws -> Int

    /// The feed's epoch and first number.
    func revocationState() async throws -> RevocationState
    /// Ended sessions with numbers over `number`, ascending.
    func endedSessions(after number: Int, limit: Int) async throws -> [EndedSession]
}
