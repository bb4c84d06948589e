import Core
import Crypto
import Synchronization

/// Sessions from login to logout: the logic, without HTTP.
///
/// A session's end is committed first, then forgotten here, then published in the feed; so nothing that comes after an
/// answered logout finds it alive.
final class SessionService: Sendable {
    let store: any AuthStore
    let feed: RevocationFeed
    let limits: SessionLimits
    private let hasher: PasswordHasher
    private let limiter: LoginLimiter
    private let clock: AuthClock
    private let log: Log
    private let state: Mutex<State>

    private struct State {
        var cache: SessionCache
        var refreshes: RefreshTable
        /// Uses to write back; the newest of each session.
        var touches: [SessionHash: SessionTouch] = [:]
        var isClosed = false
    }

    /// Expired sessions ended by one sweep.
    static let expiredPerSweepMax = 1000

    private init(
        store: any AuthStore,
        feed: RevocationFeed,
        hasher: PasswordHasher,
        limits: SessionLimits,
        limiter: LoginLimiter,
        clock: AuthClock,
        log: Log
    ) {
        self.store = store
        self.feed = feed
        self.hasher = hasher
        self.limits = limits
        self.limiter = limiter
        self.clock = clock
        self.log = log
        state = Mutex(
            State(
                cache: SessionCache(
                    countMax: limits.cachedSessionsMax,
                    ageMaxMilliseconds: limits.cacheAgeMilliseconds
                ),
                refreshes: RefreshTable(countMax: limits.refreshesMax)
            )
        )
    }

    /// A service over `store`, its feed filled with what the store lists.
    static func start(
        store: any AuthStore,
        hasher: PasswordHasher,
        limits: SessionLimits = SessionLimits(),
        loginLimits: LoginLimiter.Limits = LoginLimiter.Limits(),
        clock: AuthClock = AuthClock(),
        log: Log
    ) async throws -> SessionService {
        let service = SessionService(
            store: store,
            feed: RevocationFeed(try await store.revocationState(), sleep: clock.sleep),
            hasher: hasher,
            limits: limits,
            limiter: LoginLimiter(loginLimits, clock: clock.monotonicMilliseconds),
            clock: clock,
            log: log
        )
        try await service.publishEnded()
        return service
    }

    // MARK: - Login

    /// Who wants to log in, and from where.
    struct Credentials: Sendable {
        var username: String
        var password: String
        /// `nil`: whatever the account is.
        var userType: UserType?
        var address: String
        var requestID: String
    }

    /// A new session for who knows the password.
    ///
    /// Takes the same time whether or not the account exists.
    ///
    /// - Throws: `AuthError.invalidCredentials`, `.tooManyAttempts`; `PasswordHasherError` when the pool is busy or the
    ///   password cannot be one; what the store throws.
    func logIn(_ credentials: Credentials) async throws -> IssuedSession {
        let attempt = try limiter.begin(username: credentials.username, address: credentials.address)
        let account: Account?
        let matches: Bool
        do {
            account =
                Identifier.isUserID(credentials.username) ? try await store.account(credentials.username) : nil
            matches = try await hasher.verify(credentials.password, stored: account?.passwordHash)
        } catch {
            limiter.abandoned(attempt)
            throw error
        }
        guard let account, matches, !account.isDisabled,
            credentials.userType == nil || credentials.userType == account.userType
        else {
            // Only a known name is logged: people type passwords into the wrong field.
            log.info(
                "login_failed",
                [
                    "user_id": .string(account?.userID ?? "(unknown)"),
                    "remote_address": .string(credentials.address),
                    "request_id": .string(credentials.requestID),
                ]
            )
            throw AuthError.invalidCredentials
        }
        limiter.succeeded(attempt)
        try await improveHash(of: account, credentials.password)
        let issued = try await issue(for: account)
        log.info(
            "login",
            [
                "user_id": .string(account.userID),
                "remote_address": .string(credentials.address),
                "request_id": .string(credentials.requestID),
            ]
        )
        return issued
    }

    /// Makes the stored hash again when its cost is not today's; the password is only at hand now.
    private func improveHash(of account: Account, _ password: String) async throws {
        guard let stored = account.passwordHash, hasher.needsRehash(stored: stored) else { return }
        try await store.rehash(account.userID, from: stored, to: try await hasher.hash(password))
    }

    private func issue(for account: Account) async throws -> IssuedSession {
        let now = clock.now()
        let id = SessionID.make()
        let session = limits.begin(SessionHash(of: id), userID: account.userID, now: now)
        try await store.createSessions([session], sessionsPerUserMax: limits.sessionsPerUserMax, now: now)
        // The user's oldest session may have ended in its favour.
        try await publishEnded()
        return IssuedSession(
            id: id,
            verified: VerifiedSession(
                session: session,
                userName: account.userName,
                userType: account.userType,
                isAdmin: account.isAdmin
            )
        )
    }

    // MARK: - Verification

    /// Whose session `id` is; `nil` if it does not live.
    ///
    /// Counts as a use of it.
    func verify(_ id: String) async throws -> VerifiedSession? {
        guard SessionID.isPlausible(id) else { return nil }
        return try await verify(SessionHash(of: id))
    }

    /// The same for whoever knows only the session's hash.
    func verify(_ hash: SessionHash) async throws -> VerifiedSession? {
        let now = clock.now()
        let (cached, removals) = find(hash, now)
        if let cached { return use(cached, now) }
        guard let stored = try await store.session(hash) else { return nil }
        state.withLock { state in
            var stored = stored
            // A use that is not written back yet is newer than what the store has.
            if let touch = state.touches[hash] {
                stored.session.usedAt = touch.usedAt
                stored.session.expiresAt = touch.expiresAt
            }
            state.cache.insert(stored, readAt: now, removals: removals)
        }
        return use(stored, now)
    }

    /// Whose session `id` is, if it was verified lately; `nil` also when it does not live.
    ///
    /// Counts as a use of it, and waits for nothing.
    func verifyFromMemory(_ id: String) -> VerifiedSession? {
        guard SessionID.isPlausible(id) else { return nil }
        let now = clock.now()
        return find(SessionHash(of: id), now).cached.flatMap { use($0, now) }
    }

    private func find(_ hash: SessionHash, _ now: Timestamp) -> (cached: VerifiedSession?, removals: Int) {
        state.withLock { state in (state.cache.find(hash, now: now), state.cache.removals) }
    }

    private func use(_ verified: VerifiedSession, _ now: Timestamp) -> VerifiedSession? {
        guard verified.session.expiresAt > now else { return nil }
        guard let expiresAt = limits.expiryOnUse(verified.session, now: now) else { return verified }
        let hash = verified.session.hash
        return state.withLock { state in
            guard state.touches.count < limits.pendingTouchesMax || state.touches[hash] != nil else { return verified }
            state.touches[hash] = SessionTouch(hash: hash, usedAt: now, expiresAt: expiresAt)
            var verified = verified
            verified.session.usedAt = now
            verified.session.expiresAt = expiresAt
            state.cache.update(hash) { $0 = verified.session }
            return verified
        }
    }

    // MARK: - Refresh and end

    /// A new id for the session; the old one works for a grace, in which refreshing it again gives the same new id.
    ///
    /// The new one ends when the old one would have in any case.
    ///
    /// - Throws: `AuthError.sessionEnded`, `.tooManyRefreshes`; what the store throws.
    func refresh(_ id: String) async throws -> IssuedSession {
        guard let current = try await verify(id) else { throw AuthError.sessionEnded }
        let now = clock.now()
        let old = current.session.hash
        let graceEndsAt = now.advanced(byMilliseconds: limits.graceMilliseconds)
        let newID = state.withLock {
            $0.refreshes.successor(of: old, newID: SessionID.make(), until: graceEndsAt, now: now)
        }
        guard let newID else { throw AuthError.tooManyRefreshes }
        let newHash = SessionHash(of: newID)
        if current.session.replacedBy != newHash {
            let new = limits.begin(newHash, userID: current.session.userID, now: now, endsAt: current.session.endsAt)
            let isReplaced = try await store.replaceSession(old, with: new, graceEndsAt: graceEndsAt, now: now)
            try await publishEnded()
            guard isReplaced else {
                state.withLock { $0.refreshes.remove(old) }
                throw AuthError.sessionEnded
            }
        }
        guard let verified = try await verify(newID) else { throw AuthError.sessionEnded }
        return IssuedSession(id: newID, verified: verified)
    }

    /// Ends the session, and the one that a refresh put in its place; nothing happens if it does not live.
    func logOut(_ id: String, requestID: String) async throws {
        guard SessionID.isPlausible(id) else { return }
        let userID = try await store.endSession(SessionHash(of: id), now: clock.now())
        guard let userID else { return }
        try await publishEnded()
        log.info("logout", ["user_id": .string(userID), "request_id": .string(requestID)])
    }

    // MARK: - Upkeep

    /// Writes uses back, ends expired sessions, and hears of those that another process ended.
    func sweep() async throws {
        let now = clock.now()
        let touches = state.withLock { state in
            state.refreshes.removeExpired(now: now)
            return Array(state.touches.values)
        }
        var ended: Int
        var written = touches
        repeat {
            ended = try await store.sweep(touches: written, now: now, expiredMax: Self.expiredPerSweepMax)
            written = []
        } while ended == Self.expiredPerSweepMax
        state.withLock { state in
            for touch in touches where state.touches[touch.hash] == touch { state.touches[touch.hash] = nil }
        }
        try await publishEnded()
    }

    /// Sweeps every five seconds until the task is cancelled.
    func sweepRegularly() async {
        while !Task.isCancelled {
            do { try await sweep() } catch {
                guard !state.withLock({ $0.isClosed }) else { return }
                log.error("sweep_failed", ["error": .string(String(reflecting: error))])
            }
            do { try await clock.sleep(5000) } catch { return }
        }
    }

    /// Writes the last uses back and closes the store.
    func close() async throws {
        feed.close()
        state.withLock { $0.isClosed = true }
        try await sweep()
        await store.close()
    }

    /// Forgets and publishes what the store has listed since the last time, in its order.
    ///
    /// Reading it back, instead of publishing what one just wrote, keeps numbers in order when several writers end
    /// sessions at once.
    private func publishEnded() async throws {
        while true {
            let ended = try await store.endedSessions(after: feed.newest, limit: RevocationFeed.pageMax)
            state.withLock { state in
                for one in ended {
                    state.cache.remove(one.hash)
                    state.touches[one.hash] = nil
                }
            }
            feed.append(ended)
            if ended.count < RevocationFeed.pageMax { return }
        }
    }
}
