import Core
import Testing

@testable import AuthService

@Suite("SessionCache and SessionHash")
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
        // Nor is one believed that was read in a future: the clock was set back.
        cache.insert(session("b"), readAt: now, removals: 0)
        #expect(cache.find(SessionHash(of: "b"), now: now.advanced(byMilliseconds: -1)) == nil)
    }

    @Test("an answer asked for before a removal is not kept")
    func removalWins() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        let before = cache.removals
        cache.remove(SessionHash(of: "a"))
        cache.insert(session("a"), readAt: now, removals: before)
        #expect(cache.find(SessionHash(of: "a"), now: now) == nil)
    }

    @Test("what was read of an account before it changed is not used, nor an answer that was under way")
    func changedAccount() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        cache.insert(session("a"), readAt: now, removals: 0)
        let before = cache.removals
        cache.forget("a", now: now.advanced(byMilliseconds: 1))
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 1)) == nil)
        cache.insert(session("a"), readAt: now.advanced(byMilliseconds: 2), removals: before)
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 2)) == nil)
        cache.insert(session("a"), readAt: now.advanced(byMilliseconds: 2), removals: cache.removals)
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 2)) != nil)
    }

    @Test("what nobody has asked for lately is changed, removed and forgotten as the rest")
    func oldGeneration() {
        /// A cache in which `a` has become old.
        func aged() -> SessionCache {
            var cache = SessionCache(countMax: 4, ageMaxMilliseconds: 1000)
            for name in ["a", "b", "c"] { cache.insert(session(name), readAt: now, removals: 0) }
            return cache
        }
        let hash = SessionHash(of: "a")
        var changed = aged()
        changed.update(hash) { $0.usedAt = now.advanced(byMilliseconds: 7) }
        #expect(changed.find(hash, now: now)?.session.usedAt == now.advanced(byMilliseconds: 7))
        var removed = aged()
        removed.remove(hash)
        #expect(removed.find(hash, now: now) == nil)
        var forgotten = aged()
        for index in 0...10_000 { forgotten.forget("u\(index)", now: now.advanced(byMilliseconds: -1)) }
        #expect(forgotten.count == 0 && forgotten.find(hash, now: now) == nil)
    }

    @Test("changed accounts held are bounded: past it every session is read again")
    func manyChanges() {
        var cache = SessionCache(countMax: 10, ageMaxMilliseconds: 1000)
        cache.insert(session("a"), readAt: now.advanced(byMilliseconds: 1), removals: 0)
        for index in 0..<10_000 { cache.forget("u\(index)", now: now) }
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 1)) != nil)
        cache.forget("one more", now: now)
        #expect(cache.find(SessionHash(of: "a"), now: now.advanced(byMilliseconds: 1)) == nil)
    }

    @Test("a hash is the id's SHA-256 in base64url, and survives its bytes")
    func hash() {
        let hash = SessionHash(of: "abc")
        #expect(hash.wire == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0")
        #expect(SessionHash(bytes: hash.bytes) == hash)
        #expect(SessionHash(bytes: Array(hash.bytes.dropLast())) == nil)
    }
}
