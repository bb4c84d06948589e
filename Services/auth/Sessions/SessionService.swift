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
    let trail: AuditTrail
    let clock: AuthClock
    private let log: Log
    /// Each refresh is told to every service, and leaves a session behind for its grace.
    private let refreshes: UserRate
    private let state: Mutex<State>

    private struct State {
        var cache: SessionCache
        /// Uses to write back; the newest of each session.
        var touches: [SessionHash: SessionTouch] = [:]
        var isClosed = false
    }

    /// Expired sessions ended by one sweep.
    static let expiredPerSweepMax = 1000

    private init(
        store: any AuthStore,
        feed: RevocationFeed,
        limits: SessionLimits,
        clock: AuthClock,
        log: Log
    ) {
        self.store = store
        self.feed = feed
        self.limits = limits
        self.clock = clock
        self.log = log
        refreshes = UserRate(clock: clock.monotonicMilliseconds)
        trail = AuditTrail(store: store, log: log)
        state = Mutex(
            State(
                cache: SessionCache(
                    countMax: limits.cachedSessionsMax,
                    ageMaxMilliseconds: limits.cacheAgeMilliseconds
                )
            )
        )
    }

    /// A service over `store`, its feed filled with what the store lists.
    static func start(
        store: any AuthStore,
        limits: SessionLimits = SessionLimits(),
        clock: AuthClock = AuthClock(),
        log: Log
    ) async throws -> SessionService {
        let service = SessionService(
            store: store,
            feed: RevocationFeed(try await store.revocationState(), sleep: clock.sleep),
            limits: limits,
            clock: clock,
            log: log
        )
        try await service.publishChanges()
        return service
    }

    // MARK: - Begin

    /// Begins a session of `account`, as it was read.
    ///
    /// - Parameters:
    ///   - account: Whose it is; nothing else has to be checked any more.
    ///   - origin: Where it is begun.
    ///   - audit: Stored with it.
    /// - Returns: `nil` if the account may not log in any more, or all its sessions were ended since it was read.
    func begin(_ account: Account, from origin: SessionOrigin, audit: AuditEntry) async throws -> IssuedSession? {
        let id = SessionID.make()
        let beginning = beginning(id, account, from: origin, audit: audit)
        guard try await store.beginSession(beginning, revision: account.revision) else { return nil }
        return try await issued(id, beginning, account)
    }

    /// A session of an account that the store makes, or finds, in the same step.
    func beginning(
        _ id: String,
        _ account: Account,
        from origin: SessionOrigin,
        audit: AuditEntry
    ) -> SessionBeginning {
        SessionBeginning(
            session: limits.begin(SessionHash(of: id), userID: account.userID, now: audit.at),
            origin: origin,
            sessionsPerUserMax: limits.sessionsPerUserMax,
            audit: audit
        )
    }

    /// What its owner is given of a session that is stored.
    func issued(_ id: String, _ beginning: SessionBeginning, _ account: Account) async throws -> IssuedSession {
        trail.logged(beginning.audit)
        // The user's oldest session may have ended in its favour.
        try await publishChanges()
        return IssuedSession(
            id: id,
            verified: VerifiedSession(
                session: beginning.session,
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
        let known = state.withLock { state in
            var stored = stored
            // A use that is not written back yet is newer than what the store has; but a refresh has the last word.
            if stored.session.replacedBy == nil, let touch = state.touches[hash] {
                stored.session.usedAt = touch.usedAt
                stored.session.expiresAt = touch.expiresAt
            }
            state.cache.insert(stored, readAt: now, removals: removals)
            return stored
        }
        return use(known, now)
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
    /// - Throws: `AuthError.sessionEnded`, `.tooManyAttempts`; what the store throws.
    func refresh(_ id: String) async throws -> IssuedSession {
        guard let current = try await verify(id)?.session else { throw AuthError.sessionEnded }
        let nonce: [UInt8]
        if let known = current.successorNonce { nonce = known } else { nonce = try await replace(id, current) }
        let newID = SessionID.successor(of: id, nonce: nonce)
        guard let verified = try await verify(newID) else { throw AuthError.sessionEnded }
        return IssuedSession(id: newID, verified: verified)
    }

    /// Stores a successor of a session that had none when it was read; the nonce of the one that it has now.
    private func replace(_ id: String, _ old: StoredSession) async throws -> [UInt8] {
        try refreshes.count(old.userID)
        let now = clock.now()
        let nonce = SecureRandom.bytes(SessionID.randomBytes)
        let newHash = SessionHash(of: SessionID.successor(of: id, nonce: nonce))
        let stored = try await store.replaceSession(
            old,
            with: limits.begin(newHash, userID: old.userID, now: now, endsAt: old.endsAt),
            nonce: nonce,
            graceEndsAt: now.advanced(byMilliseconds: limits.graceMilliseconds),
            now: now
        )
        try await publishChanges()
        guard let stored else { throw AuthError.sessionEnded }
        return stored
    }

    /// Ends the session, under its earlier and later ids too; nothing happens if it does not live.
    func logOut(_ id: String, by actor: Actor) async throws {
        guard SessionID.isPlausible(id) else { return }
        guard let entry = try await store.endSession(SessionHash(of: id), by: actor, now: clock.now()) else { return }
        try await publishChanges()
        trail.logged(entry)
    }

    /// A user's live sessions, the newest first.
    func list(of userID: String) async throws -> [SessionSummary] {
        let stored = try await store.sessions(of: userID, now: clock.now())
        return state.withLock { state in
            stored.map { summary in
                guard let touch = state.touches[summary.session.hash] else { return summary }
                var summary = summary
                summary.session.usedAt = touch.usedAt
                summary.session.expiresAt = touch.expiresAt
                return summary
            }
        }
    }

    // MARK: - Upkeep

    /// Writes uses back, ends expired sessions, and hears of those that another process ended.
    func sweep() async throws {
        let now = clock.now()
        let touches = state.withLock { Array($0.touches.values) }
        var ended: Int
        var written = touches
        repeat {
            ended = try await store.sweep(touches: written, now: now, expiredMax: Self.expiredPerSweepMax)
            written = []
            // Before another round can trim it.
            try await publishChanges()
        } while ended == Self.expiredPerSweepMax
        state.withLock { state in
            for touch in touches where state.touches[touch.hash] == touch { state.touches[touch.hash] = nil }
        }
    }

    /// Hears of what other processes end, and sweeps every ten times, until the task is cancelled.
    func sweepRegularly() async {
        var round = 0
        while !Task.isCancelled {
            do {
                if round % Self.roundsPerSweep == 0 { try await sweep() } else { try await publishChanges() }
            } catch {
                guard !state.withLock({ $0.isClosed }) else { return }
                log.error("sweep_failed", ["error": .string(String(reflecting: error))])
            }
            round += 1
            do { try await clock.sleep(Self.roundMilliseconds) } catch { return }
        }
    }

    /// The pause between two looks at the feed's table.
    private static let roundMilliseconds: Int64 = 500
    private static let roundsPerSweep = 10

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
    func publishChanges() async throws {
        while true {
            let entries = try await store.revocations(after: feed.newest, limit: RevocationFeed.pageMax)
            if !entries.isEmpty {
                let now = clock.now()
                // A hole: another process trimmed what was not read yet.
                let isMissing = entries[0].number > feed.newest + 1
                state.withLock { state in
                    if isMissing { state.cache.removeAll() }
                    for entry in entries {
                        switch entry.subject {
                        case .session(let hash, _):
                            state.cache.remove(hash)
                            state.touches[hash] = nil
                        case .user(let userID): state.cache.forget(userID, now: now)
                        }
                    }
                }
                feed.append(entries)
            }
            if entries.count < RevocationFeed.pageMax { return }
        }
    }
}
