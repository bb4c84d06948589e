import Contracts
import Core
import Crypto
import TestSupport
import Testing

@testable import AuthService

@Suite("SessionService")
struct SessionServiceTests {
    private let day: Int64 = 86_400_000

    @Test("a session ends after its idle time, to the millisecond")
    func idleExpiry() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        auth.clock.advance(7 * day - 1)
        // Looked at through another service, so that this is no use of it here.
        #expect(
            try await auth.store.session(SessionHash(of: id))?.session.expiresAt
                == auth.clock.now.advanced(byMilliseconds: 1)
        )
        auth.clock.advance(1)
        #expect(try await auth.sessions.verify(id) == nil)
    }

    @Test("use prolongs a session, is written back, and not past its absolute end")
    func sliding() async throws {
        let auth = try await AuthFixture()
        let issued = try await auth.logIn()
        for _ in 0..<4 {
            auth.clock.advance(7 * day - 1)
            let verified = try #require(try await auth.sessions.verify(issued.id))
            #expect(verified.session.usedAt == auth.clock.now)
            try await auth.sessions.sweep()
            #expect(try await auth.store.session(SessionHash(of: issued.id))?.session == verified.session)
        }
        auth.clock.advance(2 * day + 3)
        let last = try #require(try await auth.sessions.verify(issued.id))
        #expect(last.session.expiresAt == issued.verified.session.endsAt)
        #expect(auth.clock.now == issued.verified.session.endsAt.advanced(byMilliseconds: -1))
        auth.clock.advance(1)
        #expect(try await auth.sessions.verify(issued.id) == nil)
    }

    @Test("use is written back at most once a minute")
    func touches() async throws {
        let auth = try await AuthFixture()
        let issued = try await auth.logIn()
        let hash = SessionHash(of: issued.id)
        auth.clock.advance(59_999)
        _ = try await auth.sessions.verify(issued.id)
        try await auth.sessions.sweep()
        #expect(try await auth.store.session(hash)?.session.usedAt == issued.verified.session.usedAt)
        auth.clock.advance(1)
        _ = try await auth.sessions.verify(issued.id)
        try await auth.sessions.sweep()
        #expect(try await auth.store.session(hash)?.session.usedAt == auth.clock.now)
    }

    @Test("expired sessions are removed and listed by the sweep")
    func sweeping() async throws {
        let auth = try await AuthFixture()
        let first = try await auth.logIn().id
        auth.clock.advance(1)
        let second = try await auth.logIn("test", "test").id
        auth.clock.advance(7 * day - 1)
        try await auth.sessions.sweep()
        #expect(try await auth.store.session(SessionHash(of: first)) == nil)
        #expect(try await auth.store.session(SessionHash(of: second)) != nil)
        let page = try await auth.sessions.feed.page(
            epoch: auth.store.revocationState().epoch,
            after: 0,
            waitMilliseconds: 0
        )
        #expect(page.revocations.map(\.sessionHash) == [SessionHash(of: first).wire])
    }

    @Test("a user's sessions are bounded: one more ends the oldest, in the feed too")
    func sessionsPerUser() async throws {
        var limits = SessionLimits()
        limits.sessionsPerUserMax = 3
        let auth = try await AuthFixture(limits: limits)
        var ids: [String] = []
        let other = try await auth.logIn("test", "test").id
        for _ in 0..<5 {
            ids.append(try await auth.logIn().id)
            _ = try await auth.sessions.verify(ids[0])
            auth.clock.advance(1)
        }
        var alive: [Bool] = []
        for id in ids { alive.append(try await auth.sessions.verify(id) != nil) }
        #expect(alive == [false, false, true, true, true])
        #expect(try await auth.sessions.verify(other) != nil)
        #expect(auth.sessions.feed.newest == 2)
    }

    @Test("many refreshes of one session at once all get the same new id")
    func concurrentRefreshes() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        let ids = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { try await auth.sessions.refresh(old).id } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(ids.count == 1 && !ids.contains(old))
        #expect(auth.sessions.feed.newest == 1)
    }

    @Test("a user refreshes so often and no more; asking again for what was answered is free")
    func refreshRate() async throws {
        let auth = try await AuthFixture()
        let other = try await auth.logIn("test", "test").id
        var ids = [try await auth.logIn().id]
        for id in 0..<60 { ids.append(try await auth.sessions.refresh(ids[id]).id) }
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 1000)) {
            try await auth.sessions.refresh(ids[60])
        }
        #expect(try await auth.sessions.refresh(ids[59]).id == ids[60])
        _ = try await auth.sessions.refresh(other)
        auth.clock.advance(1000)
        _ = try await auth.sessions.refresh(ids[60])
    }

    @Test("a refresh does not prolong a session past its absolute end")
    func refreshKeepsEnd() async throws {
        let auth = try await AuthFixture()
        let issued = try await auth.logIn()
        auth.clock.advance(day)
        let refreshed = try await auth.sessions.refresh(issued.id)
        #expect(refreshed.verified.session.endsAt == issued.verified.session.endsAt)
        #expect(refreshed.verified.session.expiresAt == auth.clock.now.advanced(byMilliseconds: 7 * day))
    }

    @Test("sessions in the grace of a refresh count neither as sessions nor as ended")
    func graceDoesNotCount() async throws {
        var limits = SessionLimits()
        limits.sessionsPerUserMax = 2
        let auth = try await AuthFixture(limits: limits)
        let other = try await auth.logIn().id
        auth.clock.advance(1)
        var ids = [try await auth.logIn().id]
        for index in 0..<3 { ids.append(try await auth.sessions.refresh(ids[index]).id) }
        // Two sessions, however often one of them was refreshed: a third login ends the oldest and no other.
        auth.clock.advance(1)
        _ = try await auth.logIn()
        #expect(try await auth.sessions.verify(other) == nil)
        #expect(try await auth.sessions.verify(ids[3]) != nil)
        #expect(try await auth.accounts.endSessions(of: "user123", sparing: nil, by: .command) == 2)
        for id in ids { #expect(try await auth.sessions.verify(id) == nil) }
    }

    @Test("a refresh is repeated by a service started anew: the client whose answer was lost gets the same id")
    func refreshAfterRestart() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        let new = try await auth.sessions.refresh(old).id
        let restarted = try await SessionService.start(
            store: auth.store,
            clock: auth.clock.authClock,
            log: AuthFixture.log
        )
        #expect(try await restarted.refresh(old).id == new)
        auth.clock.advance(9999)
        #expect(try await restarted.refresh(old).id == new)
        auth.clock.advance(1)
        await #expect(throws: AuthError.sessionEnded) { try await restarted.refresh(old) }
        try await restarted.sweep()
        #expect(try await auth.store.session(SessionHash(of: old)) == nil)
        #expect(try await restarted.verify(new) != nil)
    }

    @Test("logging out with the old id of a refresh ends its successor as well")
    func logoutAfterRefresh() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        let new = try await auth.sessions.refresh(old).id
        _ = try await auth.sessions.verify(new)
        try await auth.sessions.logOut(old, by: Actor())
        #expect(try await auth.sessions.verify(old) == nil)
        #expect(try await auth.sessions.verify(new) == nil)
        let page = try await auth.sessions.feed.page(
            epoch: auth.store.revocationState().epoch,
            after: 1,
            waitMilliseconds: 0
        )
        #expect(page.revocations.map(\.sessionHash) == [SessionHash(of: old).wire, SessionHash(of: new).wire])
        #expect(page.revocations.map(\.replacedBy) == [nil, nil])
    }

    @Test(
        "logging out with the new id of a refresh ends the old ones as well, in their grace",
        arguments: [false, true]
    )
    func logoutEndsGrace(byHandle: Bool) async throws {
        let auth = try await AuthFixture()
        let elsewhere = try await auth.logIn().id
        let first = try await auth.logIn().id
        let second = try await auth.sessions.refresh(first).id
        let third = try await auth.sessions.refresh(second).id
        for id in [first, second, third] { _ = try await auth.sessions.verify(id) }
        if byHandle {
            try await auth.accounts.endSession(SessionHash(of: third).handle, of: "user123", by: Actor())
        } else {
            try await auth.sessions.logOut(third, by: Actor())
        }
        for id in [first, second, third] { #expect(try await auth.sessions.verify(id) == nil) }
        #expect(try await auth.sessions.verify(elsewhere) != nil)
    }

    @Test("a use noted late does not prolong a session that was refreshed meanwhile")
    func lateTouch() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        auth.clock.advance(day)
        // Another process refreshes it; this one still knows it as it was, and notes a use.
        _ = try await auth.sessions.verify(old)
        let other = try await SessionService.start(
            store: auth.store,
            clock: auth.clock.authClock,
            log: AuthFixture.log
        )
        _ = try await other.refresh(old)
        auth.clock.advance(61_000)
        #expect(try await auth.sessions.verify(old) == nil)
    }

    @Test("sessions, numbers and epoch survive a restart")
    func restart() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        let ended = try await auth.logIn().id
        try await auth.sessions.logOut(ended, by: Actor())
        let epoch = try await auth.store.revocationState().epoch
        await auth.store.close()
        let store = try await SQLiteAuthStore.open(directory: auth.directory.path)
        let sessions = try await SessionService.start(
            store: store,
            clock: auth.clock.authClock,
            log: AuthFixture.log
        )
        #expect(try await sessions.verify(id)?.session.userID == "user123")
        #expect(try await sessions.verify(ended) == nil)
        let page = await sessions.feed.page(epoch: epoch, after: 0, waitMilliseconds: 0)
        #expect(!page.reset && page.revocations.map(\.sessionHash) == [SessionHash(of: ended).wire])
    }

    @Test("what another process adds is seen at once, what it ends after the next sweep")
    func anotherProcess() async throws {
        let auth = try await AuthFixture()
        let unknown = SessionID.make()
        #expect(try await auth.sessions.verify(unknown) == nil)
        let other = try await SQLiteAuthStore.open(directory: auth.directory.path)
        let session = auth.sessions.limits.begin(SessionHash(of: unknown), userID: "user123", now: auth.clock.now)
        try await other.createSessions([session], sessionsPerUserMax: 50, now: auth.clock.now)
        #expect(try await auth.sessions.verify(unknown) != nil)
        _ = try await other.endSession(SessionHash(of: unknown), by: Actor(), now: auth.clock.now)
        try await auth.sessions.sweep()
        #expect(try await auth.sessions.verify(unknown) == nil)
        #expect(auth.sessions.feed.newest == 1)
    }

    @Test("a changed password ends the user's sessions")
    func setPassword() async throws {
        let auth = try await AuthFixture()
        let mine = try await auth.logIn().id
        let other = try await auth.logIn("test", "test").id
        try await auth.accounts.resetPassword("user123", to: "another one", by: .command)
        #expect(try await auth.sessions.verify(mine) == nil)
        #expect(try await auth.sessions.verify(other) != nil)
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn() }
        _ = try await auth.logIn("user123", "another one")
    }

    @Test(
        "a login that began before all sessions were ended does not become a session",
        arguments: ["password", "disabled", "role", "deleted", "ended"]
    )
    func loginRace(what: String) async throws {
        let auth = try await AuthFixture()
        // What a login has read before it compares the password.
        let account = try #require(try await auth.store.account("test"))
        switch what {
        case "password": try await auth.accounts.resetPassword("test", to: "correct horse", by: .command)
        case "disabled": _ = try await auth.accounts.update("test", AccountChange(isDisabled: true), by: .command)
        case "role": _ = try await auth.accounts.update("test", AccountChange(userType: .agent), by: .command)
        case "deleted": try await auth.accounts.delete("test", by: .command)
        default:
            _ = try await auth.logIn("test", "test")
            _ = try await auth.accounts.endSessions(of: "test", sparing: nil, by: .command)
        }
        let entry = AuditEntry(.login, by: Actor(userID: "test"), at: auth.clock.now)
        #expect(try await auth.sessions.begin(account, from: SessionOrigin(), audit: entry) == nil)
        #expect(try await auth.store.sessions(of: "test", now: auth.clock.now).isEmpty)
    }

    @Test("a refresh that races the end of all sessions leaves none", arguments: 1...5)
    func refreshRace(round: Int) async throws {
        let auth = try await AuthFixture()
        var ids: [String] = []
        for _ in 0..<10 { ids.append(try await auth.logIn().id) }
        let refreshed = await withTaskGroup(of: String?.self) { group in
            for id in ids { group.addTask { try? await auth.sessions.refresh(id).id } }
            group.addTask {
                _ = try? await auth.accounts.endSessions(of: "user123", sparing: nil, by: .command)
                return nil
            }
            return await group.reduce(into: [String]()) { ids, id in if let id { ids.append(id) } }
        }
        for id in ids + refreshed { #expect(try await auth.sessions.verify(id) == nil) }
        #expect(try await auth.store.sessions(of: "user123", now: auth.clock.now).isEmpty)
    }

    @Test("logouts racing with verifications never leave a dead session in the cache", arguments: 1...5)
    func logoutRace(round: Int) async throws {
        let auth = try await AuthFixture()
        var ids: [String] = []
        for _ in 0..<10 { ids.append(try await auth.logIn().id) }
        await withTaskGroup(of: Void.self) { group in
            for id in ids {
                group.addTask { for _ in 0..<5 { _ = try? await auth.sessions.verify(id) } }
                group.addTask { try? await auth.sessions.logOut(id, by: Actor()) }
                group.addTask { for _ in 0..<5 { _ = try? await auth.sessions.verify(id) } }
            }
        }
        for id in ids { #expect(try await auth.sessions.verify(id) == nil) }
        #expect(auth.sessions.feed.newest == ids.count)
    }
}
