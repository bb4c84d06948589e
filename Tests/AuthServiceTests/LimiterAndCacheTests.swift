import Core
import Testing

@testable import AuthService

@Suite("RateTable and LoginLimiter")
struct LimiterTests {
    @Test("allows the burst, then one more each interval")
    func burst() {
        var table = RateTable(eventsMax: 3, windowMilliseconds: 300, keysMax: 10)
        for _ in 0..<3 {
            #expect(table.wait("a", now: 1000) == nil)
            table.count("a", now: 1000)
        }
        #expect(table.wait("a", now: 1000) == 100)
        #expect(table.wait("a", now: 1099) == 1)
        #expect(table.wait("a", now: 1100) == nil)
        #expect(table.wait("b", now: 1000) == nil)
        table.giveBack("a", now: 1000)
        #expect(table.wait("a", now: 1000) == nil)
    }

    @Test("is bounded: past its limit it forgets those nearest to being clear, never the worst offender")
    func bounded() {
        var table = RateTable(eventsMax: 3, windowMilliseconds: 300_000, keysMax: 100)
        for _ in 0..<3 { table.count("offender", now: 0) }
        for i in 0..<10_000 {
            table.count("key\(i)", now: Int64(i))
            #expect(table.count <= 100)
        }
        #expect(table.wait("offender", now: 10_000) != nil)
    }

    @Test("keys that are clear are the first to go")
    func clearKeysGo() {
        var table = RateTable(eventsMax: 1, windowMilliseconds: 100, keysMax: 4)
        for i in 0..<4 { table.count("old\(i)", now: 0) }
        table.count("new", now: 100)
        #expect(table.count == 1)
    }

    @Test("attempts under way count, so that many at once cannot pass together")
    func concurrentAttempts() throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 2
        let limiter = LoginLimiter(limits) { 0 }
        let first = try limiter.begin(username: "a", address: "192.0.2.1")
        _ = try limiter.begin(username: "a", address: "192.0.2.1")
        #expect(throws: AuthError.self) { try limiter.begin(username: "a", address: "192.0.2.1") }
        limiter.abandoned(first)
        _ = try limiter.begin(username: "a", address: "192.0.2.1")
    }

    @Test("an address has a limit over all accounts, and one of successes")
    func addressLimits() throws {
        var limits = LoginLimiter.Limits()
        limits.addressFailuresMax = 3
        limits.successesPerMinuteMax = 2
        let limiter = LoginLimiter(limits) { 0 }
        for i in 0..<3 { _ = try limiter.begin(username: "u\(i)", address: "192.0.2.1") }
        #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 300_000)) {
            try limiter.begin(username: "u9", address: "192.0.2.1")
        }
        for _ in 0..<2 { limiter.succeeded(try limiter.begin(username: "v", address: "192.0.2.2")) }
        #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 30_000)) {
            try limiter.begin(username: "v", address: "192.0.2.2")
        }
    }

    @Test(
        "an IPv6 network of 64 bits counts as one address, an IPv4 address as itself",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "20:1:d:b8:0:1:0:2::/64"), ("2001:db8:1:2::", "20:1:d:b8:0:1:0:2::/64"),
            ("unix", "unix"),
        ]
    )
    func networks(address: String, key: String) { #expect(ClientNetwork.key(of: address) == key) }
}

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
