import Contracts
import Core
import Testing

@testable import ServiceKit

@Suite("Session cache (R12)")
struct SessionCacheTests {
    private static let far = Timestamp(milliseconds: .max / 2)
    private static let wall = Timestamp(milliseconds: 1_000_000)

    private func session(_ hash: String, expiresAt: Timestamp = far) -> Session {
        Session(userID: "u", userName: "U", userType: .customer, expiresAt: expiresAt, hash: hash)
    }

    /// A cache whose feed was heard at 0.
    private func heard(_ change: (inout SessionCache.Configuration) -> Void = { _ in }) -> SessionCache {
        var configuration = SessionCache.Configuration()
        change(&configuration)
        var cache = SessionCache(configuration, now: 0)
        cache.feedAnswered(now: 0)
        return cache
    }

    private func learn(_ cache: inout SessionCache, _ hash: String, now: Int64 = 0) {
        _ = cache.look(hash, now: now, wallClock: Self.wall)
        _ = cache.finish(hash, session(hash))
    }

    @Test("asks once, lets others wait, then knows")
    func asksOnce() {
        var cache = heard()
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
        check(cache.look("a", now: 0, wallClock: Self.wall), .wait)
        check(cache.finish("a", session("a")), .answer(session("a")))
        check(cache.look("a", now: 1, wallClock: Self.wall), .known(session("a")))
    }

    @Test("a session that is not alive is not remembered")
    func dead() {
        var cache = heard()
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
        check(cache.finish("a", nil), .answer(nil))
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
    }

    @Test("a revocation during the asking wins over the answer")
    func revokedMeanwhile() {
        var cache = heard()
        _ = cache.look("a", now: 0, wallClock: Self.wall)
        cache.revoke(Revocation(number: 1, sessionHash: "a"))
        check(cache.finish("a", session("a")), .answer(nil))
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
    }

    @Test("a refresh or a reset during the asking makes its answer outdated")
    func outdated() {
        var cache = heard()
        _ = cache.look("a", now: 0, wallClock: Self.wall)
        cache.revoke(Revocation(number: 1, sessionHash: "a", replacedBy: "b"))
        check(cache.finish("a", session("a")), .again)
        _ = cache.look("a", now: 0, wallClock: Self.wall)
        cache.reset()
        check(cache.finish("a", session("a")), .again)
        #expect(cache.count == 0)
    }

    @Test("a revocation or a reset ends what is known")
    func revoked() {
        var cache = heard()
        learn(&cache, "a")
        learn(&cache, "b")
        cache.revoke(Revocation(number: 1, sessionHash: "a"))
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
        check(cache.look("b", now: 0, wallClock: Self.wall), .known(session("b")))
        cache.reset()
        check(cache.look("b", now: 0, wallClock: Self.wall), .ask)
    }

    @Test("age counts from the asking: at the limit known, one past it asked again")
    func age() {
        var cache = heard()
        learn(&cache, "a")
        cache.feedAnswered(now: 30_000)
        check(cache.look("a", now: 30_000, wallClock: Self.wall), .known(session("a")))
        check(cache.look("a", now: 30_001, wallClock: Self.wall), .ask)
    }

    @Test("past its expiry a session is asked for again")
    func expiry() {
        var cache = heard()
        let expiring = session("a", expiresAt: Timestamp(milliseconds: 1_000_001))
        _ = cache.look("a", now: 0, wallClock: Self.wall)
        _ = cache.finish("a", expiring)
        check(cache.look("a", now: 0, wallClock: Self.wall), .known(expiring))
        check(cache.look("a", now: 0, wallClock: Timestamp(milliseconds: 1_000_001)), .ask)
    }

    @Test("while the feed is silent nothing known is served; what was known is again when it is heard")
    func silence() {
        var cache = heard()
        learn(&cache, "a")
        check(cache.look("a", now: 5000, wallClock: Self.wall), .known(session("a")))
        check(cache.look("a", now: 5001, wallClock: Self.wall), .ask)
        check(cache.fail("a", now: 5001, wallClock: Self.wall), session("a"))
        cache.feedAnswered(now: 6000)
        check(cache.look("a", now: 6000, wallClock: Self.wall), .known(session("a")))
    }

    @Test("without an answer a session is served that was verified lately, and that nothing was heard against")
    func authAway() {
        let fails: [(String, Int64, (inout SessionCache) -> Session?)] = [
            ("too old", 30_001, { $0.fail("a", now: 30_001, wallClock: Self.wall) }),
            ("expired", 6000, { $0.fail("a", now: 6000, wallClock: Self.far) }),
            (
                "ended", 6000,
                {
                    $0.revoke(Revocation(number: 1, sessionHash: "a"))
                    return $0.fail("a", now: 6000, wallClock: Self.wall)
                }
            ),
            (
                "replaced", 6000,
                {
                    $0.revoke(Revocation(number: 1, sessionHash: "a", replacedBy: "b"))
                    return $0.fail("a", now: 6000, wallClock: Self.wall)
                }
            ),
            (
                "changed", 6000,
                {
                    $0.userChanged("u")
                    return $0.fail("a", now: 6000, wallClock: Self.wall)
                }
            ),
            (
                "reset", 6000,
                {
                    $0.reset()
                    return $0.fail("a", now: 6000, wallClock: Self.wall)
                }
            ),
        ]
        var cache = heard()
        learn(&cache, "a")
        for (what, now, fail) in fails {
            var cache = cache
            check(cache.look("a", now: now, wallClock: Self.wall), .ask)
            #expect(fail(&cache) == nil, "\(what)")
        }
        check(cache.look("a", now: 30_000, wallClock: Self.wall), .ask)
        check(cache.fail("a", now: 30_000, wallClock: Self.wall), session("a"))
        check(cache.look("b", now: 30_000, wallClock: Self.wall), .ask)
        check(cache.fail("b", now: 30_000, wallClock: Self.wall), nil)
    }

    @Test("a changed user's sessions are asked for again, also when the answer was under way")
    func changed() {
        var cache = heard()
        learn(&cache, "a")
        cache.userChanged("v")
        check(cache.look("a", now: 0, wallClock: Self.wall), .known(session("a")))
        cache.userChanged("u")
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
        cache.userChanged("u")
        check(cache.finish("a", session("a")), .again)
        learn(&cache, "a")
        check(cache.look("a", now: 0, wallClock: Self.wall), .known(session("a")))
    }

    @Test("what was asked before a change is outdated; a full table makes it so for everybody")
    func userChanges() {
        var changes = UserChanges(usersMax: 2)
        let start = changes.mark
        changes.note("u")
        #expect(!changes.isUnchanged("u", since: start) && changes.isUnchanged("v", since: start))
        #expect(changes.isUnchanged("u", since: changes.mark))
        changes.note("v")
        let later = changes.mark
        #expect(changes.isUnchanged("w", since: later) && changes.isUnchanged("u", since: later))
        changes.note("w")
        #expect(!changes.isUnchanged("u", since: later) && !changes.isUnchanged("x", since: later))
        #expect(changes.isUnchanged("u", since: changes.mark))
        changes.noteAll()
        #expect(!changes.isUnchanged("u", since: changes.mark - 1) && changes.isUnchanged("u", since: changes.mark))
    }

    @Test("before the feed was ever heard nothing is served from memory")
    func unheard() {
        var cache = SessionCache(now: 0)
        learn(&cache, "a")
        check(cache.look("a", now: 0, wallClock: Self.wall), .ask)
        #expect(!cache.isFeedFresh(now: 0))
    }

    @Test("limits: the oldest makes room, one verification too many is refused")
    func limits() {
        var cache = heard {
            $0.entriesMax = 3
            $0.verificationsMax = 2
        }
        for number in 0..<100 {
            learn(&cache, "\(number)")
            #expect(cache.count <= 3)
        }
        check(cache.look("99", now: 0, wallClock: Self.wall), .known(session("99")))
        check(cache.look("96", now: 0, wallClock: Self.wall), .ask)
        check(cache.look("x", now: 0, wallClock: Self.wall), .ask)
        check(cache.look("y", now: 0, wallClock: Self.wall), .full)
    }

    /// Instead of `#expect`, which takes no mutating calls.
    private func check<Value: Equatable>(
        _ value: Value,
        _ expected: Value,
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(value == expected, sourceLocation: location)
    }
}
