import Core
import Synchronization
import TestSupport
import Testing

@testable import AuthService

@Suite("Uses of sessions on their way to the store, and ends on their way from it")
struct SessionUseTests {
    private let day: Int64 = 86_400_000
    private let minute: Int64 = 60_000

    @Test("a use that is not written back yet counts wherever the session is looked at")
    func pendingUse() async throws {
        let auth = try await AuthFixture()
        let issued = try await auth.logIn()
        auth.clock.advance(minute)
        let used = auth.clock.now
        #expect(try await auth.sessions.verify(issued.id)?.session.usedAt == used)
        #expect(try await auth.store.session(SessionHash(of: issued.id))?.session.usedAt != used)
        // Within the next minute it is the same use, from memory and, once that is too old, read again.
        auth.clock.advance(1)
        #expect(try await auth.sessions.verify(issued.id)?.session.usedAt == used)
        auth.clock.advance(auth.sessions.limits.cacheAgeMilliseconds)
        let again = try await auth.sessions.verify(issued.id)?.session
        #expect(again?.usedAt == used && again?.expiresAt == used.advanced(byMilliseconds: 7 * day))
        let listed = try await auth.sessions.list(of: "user123").first?.session
        #expect(listed?.usedAt == used && listed?.expiresAt == used.advanced(byMilliseconds: 7 * day))
    }

    @Test("a use keeps a session alive also before it is written back, when memory has forgotten it, and refreshes it")
    func useBeforeStore() async throws {
        var limits = SessionLimits()
        limits.users = .init(idleMilliseconds: 8000, lifetimeMilliseconds: 60_000)
        let auth = try await AuthFixture(limits: limits)
        let id = try await auth.logIn().id
        auth.clock.advance(7000)
        #expect(try await auth.sessions.verify(id) != nil)
        auth.clock.advance(1)
        _ = try await auth.accounts.update("user123", AccountChange(userName: "New"), by: .command)
        auth.clock.advance(1999)
        // The store has its first expiry, which is over.
        #expect(try await auth.sessions.verify(id)?.userName == "New")
        let refreshed = try await auth.sessions.refresh(id)
        auth.clock.advance(7999)
        #expect(try await auth.sessions.verify(id) != nil)
        #expect(try await auth.sessions.verify(refreshed.id) != nil)
    }

    @Test("uses that wait are bounded; a sweep makes room, and a stop writes the last ones")
    func boundedUses() async throws {
        var limits = SessionLimits()
        limits.pendingTouchesMax = 1
        let auth = try await AuthFixture(limits: limits)
        let (first, second) = (try await auth.logIn().id, try await auth.logIn("test", "test").id)
        auth.clock.advance(minute)
        let used = auth.clock.now
        #expect(try await auth.sessions.verify(first)?.session.usedAt == used)
        #expect(try await auth.sessions.verify(second)?.session.usedAt != used)
        try await auth.sessions.sweep()
        #expect(try await auth.sessions.verify(second)?.session.usedAt == used)
        try await auth.sessions.close()
        let store = try await SQLiteAuthStore.open(directory: auth.directory.path)
        for id in [first, second] { #expect(try await store.session(SessionHash(of: id))?.session.usedAt == used) }
    }

    @Test("use does not keep a refreshed session alive past its grace")
    func useBeforeRefresh() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        // Long enough that the refresh is itself a use to write back, and the next look another one.
        auth.clock.advance(minute)
        let new = try await auth.sessions.refresh(old).id
        auth.clock.advance(9999)
        #expect(try await auth.sessions.verify(old) != nil)
        auth.clock.advance(1)
        #expect(try await auth.sessions.verify(old) == nil)
        try await auth.sessions.sweep()
        #expect(try await auth.store.session(SessionHash(of: old)) == nil)
        #expect(try await auth.sessions.verify(new) != nil)
    }

    @Test("near its absolute end a refreshed session expires then, and short sessions slide sooner than in a minute")
    func times() async throws {
        var limits = SessionLimits()
        limits.users = .init(idleMilliseconds: 8000, lifetimeMilliseconds: 20_000)
        let auth = try await AuthFixture(limits: limits)
        let issued = try await auth.logIn()
        for _ in 0..<7 {
            auth.clock.advance(2000)
            #expect(try await auth.sessions.verify(issued.id)?.session.usedAt == auth.clock.now)
        }
        let refreshed = try await auth.sessions.refresh(issued.id).verified.session
        #expect(refreshed.expiresAt == issued.verified.session.endsAt && refreshed.endsAt == refreshed.expiresAt)
    }

    @Test("a successor's id is made of the old one and of the nonce")
    func successor() {
        let (a, b) = (SessionID.make(), SessionID.make())
        let made = [(a, [1]), (a, [2]), (b, [1])].map { SessionID.successor(of: $0, nonce: $1) }
        #expect(Set(made).count == 3 && made.allSatisfy(SessionID.isPlausible))
        #expect(SessionID.successor(of: a, nonce: [1]) == made[0])
    }

    @Test("a sweep ends all that have expired, however many, and all are heard of")
    func manyExpired() async throws {
        var limits = SessionLimits()
        limits.users = .init(idleMilliseconds: 1000, lifetimeMilliseconds: 1000)
        let auth = try await AuthFixture(limits: limits)
        let count = max(SessionService.expiredPerSweepMax, RevocationFeed.pageMax) + 1
        let sessions = (0..<count).map { index in
            limits.begin(SessionHash(of: "\(index)"), userID: "user123", now: auth.clock.now)
        }
        try await auth.store.createSessions(sessions, sessionsPerUserMax: count, now: auth.clock.now)
        auth.clock.advance(1000)
        try await auth.sessions.sweep()
        #expect(try await auth.store.session(SessionHash(of: "\(count - 1)")) == nil)
        #expect(auth.sessions.feed.newest == count)
    }

    @Test("what another process ends is heard of before the next sweep")
    func heardBetweenSweeps() async throws {
        let auth = try await AuthFixture()
        let hash = SessionHash(of: try await auth.logIn().id)
        let store = auth.store
        let now = auth.clock.now
        let rounds = Mutex(0)
        var clock = auth.clock.authClock
        clock.sleep = { _ in
            let round = rounds.withLock { rounds in
                rounds += 1
                return rounds
            }
            // After the first round, which sweeps.
            if round == 1 { _ = try await store.endSession(hash, by: Actor(), now: now) }
            if round == 2 { await untilCancelled() }
        }
        let sessions = try await SessionService.start(store: store, clock: clock, log: AuthFixture.log)
        let sweeping = Task { await sessions.sweepRegularly() }
        #expect(await eventually { rounds.withLock { $0 } == 2 })
        #expect(sessions.feed.newest == 1)
        sweeping.cancel()
        await sweeping.value
    }
}
