import Core
import TestSupport
import Testing

@testable import AuthService

@Suite("SQLiteAuthStore: sessions")
struct AuthStoreSessionTests {
    private let directory: TemporaryDirectory
    private let store: SQLiteAuthStore
    private let now = Timestamp(milliseconds: 1_760_000_000_000)
    private let limits = SessionLimits()
    private let origin = SessionOrigin(remoteAddress: "192.0.2.1", userAgent: "Agent/1")

    init() async throws {
        directory = try TemporaryDirectory()
        store = try await SQLiteAuthStore.open(directory: directory.path)
        for userID in ["a", "b"] {
            let account = Account(userID: userID, userName: userID, userType: .customer, createdAt: now)
            try await store.createAccounts([account], audit: [])
        }
    }

    private func entry(_ event: AuditEvent, at time: Timestamp? = nil) -> AuditEntry {
        AuditEntry(event, by: Actor(), at: time ?? now)
    }

    /// Begins a session named by what its hash is made of.
    private func begin(_ name: String, of userID: String = "a") async throws -> StoredSession {
        let session = limits.begin(SessionHash(of: name), userID: userID, now: now)
        let beginning = SessionBeginning(session: session, origin: origin, sessionsPerUserMax: 50, audit: entry(.login))
        #expect(try await store.beginSession(beginning, revision: 1))
        return session
    }

    private func replace(_ old: StoredSession, _ new: String, at time: Timestamp) async throws -> [UInt8]? {
        try await store.replaceSession(
            old,
            with: limits.begin(SessionHash(of: new), userID: old.userID, now: time, endsAt: old.endsAt),
            nonce: [1],
            graceEndsAt: time.advanced(byMilliseconds: 10_000),
            now: time
        )
    }

    @Test("lists what lives, and not what was refreshed or has expired; a refresh keeps where it was begun")
    func list() async throws {
        let refreshed = try await begin("old")
        _ = try await begin("other", of: "b")
        #expect(try await replace(refreshed, "new", at: now) == [1])
        let listed = try await store.sessions(of: "a", now: now)
        #expect(listed.map(\.session.hash) == [SessionHash(of: "new")])
        #expect(listed.map(\.origin) == [origin])
        let end = listed[0].session.expiresAt
        #expect(try await store.sessions(of: "a", now: end.advanced(byMilliseconds: -1)).count == 1)
        #expect(try await store.sessions(of: "a", now: end).isEmpty)
    }

    @Test("what has expired is neither refreshed nor ended by its handle, swept or not")
    func expired() async throws {
        let session = try await begin("s")
        #expect(try await replace(session, "new", at: session.expiresAt) == nil)
        #expect(try await store.session(SessionHash(of: "new")) == nil)
        let late = entry(.sessionsEnded, at: session.expiresAt)
        #expect(try await !store.endSession(handle: session.hash.handle, of: "a", audit: late))
        #expect(try await store.endSession(handle: session.hash.handle, of: "a", audit: entry(.sessionsEnded)))
    }

    @Test("a use that is not written back yet lengthens a session that is refreshed")
    func usedBeforeRefresh() async throws {
        var used = try await begin("s")
        let later = used.expiresAt.advanced(byMilliseconds: 1000)
        used.expiresAt = later.advanced(byMilliseconds: 60_000)
        #expect(try await replace(used, "new", at: later) == [1])
        let graceEnd = later.advanced(byMilliseconds: 10_000)
        #expect(try await store.session(used.hash)?.session.expiresAt == graceEnd)
        // Once it is refreshed its grace counts alone.
        #expect(try await replace(used, "another", at: graceEnd.advanced(byMilliseconds: -1)) == [1])
        #expect(try await replace(used, "another", at: graceEnd) == nil)
    }

    @Test("a session that is ended by its handle takes its successor along")
    func endedByHandle() async throws {
        let old = try await begin("old")
        _ = try await replace(old, "new", at: now)
        let stays = try await begin("stays")
        #expect(try await store.endSession(handle: old.hash.handle, of: "a", audit: entry(.sessionsEnded)))
        #expect(try await store.session(old.hash) == nil)
        #expect(try await store.session(SessionHash(of: "new")) == nil)
        #expect(try await store.session(stays.hash) != nil)
    }

    @Test("a session refreshed twice ends with its whole chain, and names no successor then", arguments: 0...1)
    func chain(way: Int) async throws {
        let old = try await begin("old")
        _ = try await replace(old, "new", at: now)
        let new = try #require(try await store.session(SessionHash(of: "new"))?.session)
        _ = try await replace(new, "newest", at: now)
        let listed = try await store.revocations(after: 0, limit: 10).count
        if way == 0 {
            _ = try await store.endSession(old.hash, by: Actor(), now: now)
        } else {
            // It is one session, whatever it was called.
            #expect(try await store.endSessions(of: "a", sparing: nil, audit: entry(.sessionsEnded)) == 1)
        }
        let ended = Set(["old", "new", "newest"].map { SessionHash(of: $0) })
        for hash in ended { #expect(try await store.session(hash) == nil) }
        let subjects = try await store.revocations(after: listed, limit: 10).map(\.subject)
        #expect(subjects.count == 3)
        for hash in ended { #expect(subjects.contains(.session(hash, replacedBy: nil))) }
    }

    @Test("an address is known by live sessions of that user only, also after a refresh")
    func knownAddress() async throws {
        let session = try await begin("s")
        func isKnown(_ userID: String, _ time: Timestamp) async throws -> Bool {
            try await store.hasSession(userID, now: time) { $0 == "192.0.2.1" }
        }
        #expect(try await isKnown("a", now))
        #expect(try await !isKnown("b", now))
        #expect(try await !isKnown("a", session.expiresAt))
        #expect(try await !store.hasSession("a", now: now) { $0 == "192.0.2.2" })
        let later = now.advanced(byMilliseconds: 1000)
        _ = try await replace(session, "new", at: later)
        #expect(try await isKnown("a", later.advanced(byMilliseconds: 10_000)))
    }

    @Test("a use that is written back after a refresh leaves the refreshed session its grace")
    func useAfterRefresh() async throws {
        let old = try await begin("old")
        _ = try await replace(old, "new", at: now)
        let touches = ["old", "new"].map {
            SessionTouch(hash: SessionHash(of: $0), usedAt: now, expiresAt: old.endsAt)
        }
        _ = try await store.sweep(touches: touches, now: now, expiredMax: 10)
        #expect(try await store.session(old.hash)?.session.expiresAt == now.advanced(byMilliseconds: 10_000))
        #expect(try await store.session(SessionHash(of: "new"))?.session.expiresAt == old.endsAt)
    }

    @Test("the list of ended sessions is trimmed also while none expires")
    func trimmedWithoutExpiry() async throws {
        let store = try await SQLiteAuthStore.open(directory: directory.path, revocationsKept: 4)
        for name in ["1", "2", "3", "4", "5", "6"] {
            let session = try await begin(name)
            _ = try await store.endSession(session.hash, by: Actor(), now: now)
        }
        #expect(try await store.sweep(touches: [], now: now, expiredMax: 10) == 0)
        #expect(try await store.revocations(after: 0, limit: 10).map(\.number) == [3, 4, 5, 6])
    }
}
