import TestSupport
import Testing

@testable import PresenceService

@Suite("Leadership")
struct LeadershipTests {
    private let foreign = LeadershipRecord(term: 3, url: "http://other:1", beat: 7)

    private func beat(_ number: Int64) -> LeadershipRecord {
        LeadershipRecord(term: 3, url: "http://other:1", beat: number)
    }

    @Test("where nobody has led yet, or the leader has given up, the first look is enough")
    func vacancy() {
        for record in [nil, LeadershipRecord(term: 3, url: "http://other:1", beat: nil)] {
            var one = Leadership(now: 0)
            #expect(one.next(now: 0) == .look)
            one.saw(record, now: 5)
            #expect(one.next(now: 5) == .claim(after: record))
            #expect(one.leaderURL == nil)
            one.claimed(term: 4, sentAt: 6)
            #expect(one.role == .leader(term: 4))
            #expect(one.heldUntil == 2006)
        }
    }

    @Test("a beat that does not change for three seconds is taken over from, one that changes is not")
    func takeover() {
        var one = Leadership(now: 0)
        one.saw(beat(7), now: 0)
        #expect(one.next(now: 0) == .wait(until: 200))
        #expect(one.leaderURL == "http://other:1")
        one.saw(beat(7), now: 2900)
        one.saw(beat(8), now: 3100)
        one.saw(beat(8), now: 6099)
        #expect(one.next(now: 6299) == .look)
        one.saw(beat(8), now: 6100)
        #expect(one.next(now: 6100) == .claim(after: beat(8)))
        #expect(one.leaderURL == nil)
    }

    @Test("a beat may go back, or be far ahead: it is compared by change only")
    func change() {
        var one = Leadership(now: 0)
        for (index, number) in [Int64.max, 1, 1_000_000, 2].enumerated() {
            one.saw(beat(number), now: Int64(index) * 2900)
            #expect(one.leaderURL != nil)
        }
    }

    @Test("while the database is away nobody is silent: the three seconds begin when it answers again")
    func outage() {
        var one = Leadership(now: 0)
        one.saw(foreign, now: 0)
        for time in stride(from: Milliseconds(200), through: 60_000, by: 200) { one.lookFailed(now: time) }
        one.saw(foreign, now: 60_200)
        #expect(one.next(now: 60_400) == .look)
        one.saw(foreign, now: 63_000)
        #expect(one.next(now: 63_000) == .claim(after: foreign))
    }

    @Test("of two candidates the one that comes second looks again")
    func second() {
        var one = Leadership(now: 0)
        one.saw(foreign, now: 0)
        one.saw(foreign, now: 3000)
        one.claimFailed(now: 3010)
        #expect(one.next(now: 3010) == .look)
        #expect(one.role == .follower)
        one.saw(LeadershipRecord(term: 4, url: "http://third:1", beat: 1), now: 3020)
        #expect(one.leaderURL == "http://third:1")
    }

    @Test("a leader stops answering two seconds after the sending of its last beat, and begins anew after ten")
    func lapse() {
        var one = Leadership(now: 0)
        one.saw(nil, now: 0)
        one.claimed(term: 1, sentAt: 100)
        #expect(one.next(now: 1099) == .wait(until: 1100))
        #expect(one.next(now: 1100) == .renew(term: 1))
        one.renewed(sentAt: 1100)
        #expect(one.heldUntil == 3100)
        one.renewalFailed(now: 2500)
        #expect(one.heldUntil == 3100)
        #expect(one.next(now: 2600) == .wait(until: 2700))
        one.renewalFailed(now: 11_099)
        #expect(one.role == .leader(term: 1))
        one.renewed(sentAt: 11_050)
        #expect(one.heldUntil == 13_050)
        one.renewalFailed(now: 21_050)
        #expect(one.role == .follower)
        #expect(one.heldUntil == nil)
        #expect(one.next(now: 21_050) == .look)
    }

    @Test("who was deposed follows")
    func deposed() {
        var one = Leadership(now: 0)
        one.saw(nil, now: 0)
        one.claimed(term: 1, sentAt: 0)
        one.deposed(now: 4000)
        #expect(one.role == .follower)
        one.saw(foreign, now: 4010)
        #expect(one.leaderURL == "http://other:1")
    }

    @Test("nobody answers as the leader after anybody else may, whatever is slow, lost or stands still")
    func simulation() {
        let base = UInt64.random(in: 0...UInt64.max - 100)
        var terms: Int64 = 0
        for seed in base..<base + 100 {
            var world = LeadershipWorld(seed: seed)
            world.run(for: 120_000)
            #expect(world.faults == [], "seed \(seed)")
            terms += world.terms
            world.calm()
            world.run(for: 10_000)
            #expect(world.holders.count == 1, "seed \(seed): \(world.holders.count) lead in calm weather")
        }
        #expect(terms > 300, "from seed \(base) on hardly anybody was ever replaced")
    }

    @Test("the simulation finds a lease that outlasts the silence")
    func simulationFinds() {
        var limits = Leadership.Limits()
        limits.leaseMax = limits.silenceMax + 500
        let faults = (0..<50).reduce(0) { count, seed in
            var world = LeadershipWorld(seed: UInt64(seed), limits: limits)
            world.run(for: 60_000)
            return count + world.faults.count
        }
        #expect(faults > 0)
    }
}

@Suite("Lease of a leader")
struct LeaderLeaseTests {
    @Test("after a lapse it answers at once, and ends graces again only after a pause")
    func lapse() {
        let clock = TestClock()
        let lease = LeaderLease(term: 1, heldUntil: 2000, now: { clock.now })
        #expect(lease.isHeld && lease.letsTimePass)
        clock.now = 1999
        #expect(lease.isHeld)
        lease.renew(until: 3999)
        #expect(lease.letsTimePass)
        clock.now = 3999
        #expect(!lease.isHeld && !lease.letsTimePass)
        clock.now = 5000
        lease.renew(until: 7500)
        #expect(lease.isHeld && !lease.letsTimePass)
        clock.now = 7000
        #expect(lease.letsTimePass)
    }

    @Test("one that is over stays over")
    func over() {
        let lease = LeaderLease(term: 1, heldUntil: 2000, now: { 0 })
        lease.end()
        lease.renew(until: 9000)
        #expect(!lease.isHeld && !lease.letsTimePass && lease.isOver)
    }
}
