import Core
import Testing

@testable import AuthService

@Suite("SessionCache and RefreshTable")
struct SessionCacheTests {
    private let now = Timestamp(milliseconds: 1_000_000)

    private func session(_ name: String) -> VerifiedSession {
        let stored = SessionLimits().begin(SessionHash(of: name), userID: name, now: now)
        return VerifiedSession(session: stored, userName: name, userType: .customer, isAdmin: false)
    }

    @Test("is bounded, and keeps what is looked up")
    func bounded() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        cache.insert(session("kept"), readAt: now, removals: 0)
        for i in 0..<1000 {
            cache.insert(session("s\(i)"), readAt: now, removals: 0)
            #expect(cache.count <= 10)
            #expect(cache.find(SessionHash(of: "kept"), now: now) != nil)
        }
        #expect(cache.find(SessionHash(of: "s0"), now: now) == nil)
    }

    @Test("an entry is read again after its age")
    func age() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        cache.insert(session("a"), readAt: now, removals: 0)
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 999)) != nil)
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 1000)) == nil)
    }

    @Test("an answer asked for before a removal is not kept")
    func removalWins() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        let before = cache.removals
        cache.remove(SessionHash(of: "a"))
        cache.insert(session("a"), readAt: now, removals: before)
        #expect(cache.find(SessionHash(of: "a"), now: now) == nil)
    }

    @Test("a refresh keeps its id until its time, and the table its limit")
    func refreshes() {
        var table = RefreshTable(countMax: 2)
        let until = now.advanced(byMilliseconds: 10)
        func ask(_ old: String, _ new: String, _ time: Timestamp) -> String? {
            table.successor(of: SessionHash(of: old), newID: new, until: until, now: time)
        }
        #expect(ask("a", "1", now) == "1")
        #expect(ask("a", "2", now) == "1")
        #expect(ask("b", "3", now) == "3")
        #expect(ask("c", "4", now) == nil)
        #expect(ask("c", "4", until) == "4")
        #expect(table.count == 1)
    }

    @Test("a hash is the id's SHA-256 in base64url, and survives its bytes")
    func hash() {
        let hash = SessionHash(of: "abc")
        #expect(hash.wire == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
        #expect(SessionHash(bytes: hash.bytes) == hash)
        #expect(SessionHash(bytes: Array(hash.bytes.dropLast())) == nil)
    }
}
