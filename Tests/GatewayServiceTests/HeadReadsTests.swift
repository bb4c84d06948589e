import Testing

@testable import GatewayService

@Suite("Reads of heads (R2, R6)")
struct HeadReadsTests {
    @Test("after the answer to a join, and once more a lease later")
    func joined() {
        var reads = HeadReads()
        reads.joined(["u1", "u2"], now: 0, leaseMilliseconds: 100)
        #expect(reads.next(now: 0) == ["u1", "u2"])
        for user in ["u1", "u2"] { reads.ended(user, isRead: true, now: 5) }
        #expect(reads.next(now: 99).isEmpty)
        #expect(reads.next(now: 100) == ["u1", "u2"])
        for user in ["u1", "u2"] { reads.ended(user, isRead: true, now: 105) }
        #expect(reads.isIdle)
    }

    @Test("another connection meanwhile is read at once, and both a lease later")
    func joinedAgain() {
        var reads = HeadReads()
        reads.joined(["u1"], now: 0, leaseMilliseconds: 100)
        #expect(reads.next(now: 0) == ["u1"])
        // This read began before the second connection's join was answered.
        reads.joined(["u1"], now: 60, leaseMilliseconds: 100)
        #expect(reads.next(now: 60).isEmpty)
        reads.ended("u1", isRead: true, now: 61)
        #expect(reads.next(now: 61) == ["u1"])
        reads.ended("u1", isRead: true, now: 62)
        #expect(reads.next(now: 100).isEmpty)
        #expect(reads.next(now: 160) == ["u1"])
    }

    @Test("what fails is read again")
    func failed() {
        var reads = HeadReads()
        reads.makeDue("u1")
        #expect(reads.next(now: 0) == ["u1"])
        reads.ended("u1", isRead: false, now: 0)
        #expect(reads.next(now: HeadReads.retryMilliseconds - 1).isEmpty)
        #expect(reads.next(now: HeadReads.retryMilliseconds) == ["u1"])
    }

    @Test("everybody once an interval, spread over it; all soon when a gateway was lost")
    func rounds() {
        var reads = HeadReads()
        let users = (0..<10).map { "u\($0)" }
        var read: [(String, Int64)] = []
        func pass(_ now: Int64) {
            reads.beginRound({ users }, over: 1000, now: now)
            for user in reads.next(now: now) {
                read.append((user, now))
                reads.ended(user, isRead: true, now: now)
            }
        }
        for now in stride(from: Int64(0), through: 2010, by: 10) { pass(now) }
        #expect(Set(read.filter { $0.1 <= 1000 }.map(\.0)) == Set(users))
        #expect(read.count == 20)
        #expect(Dictionary(grouping: read, by: \.1).values.allSatisfy { $0.count == 1 })
        read = []
        reads.lost(users, now: 2020)
        for now in stride(from: Int64(2020), through: 2020 + HeadReads.lostMilliseconds, by: 10) { pass(now) }
        #expect(Set(read.map(\.0)) == Set(users))
    }

    @Test("a round that was to take long begins anew when others have come")
    func shorterRound() {
        var reads = HeadReads()
        reads.beginRound({ ["u1", "u2"] }, over: 10_000, now: 0)
        #expect(reads.next(now: 1000).isEmpty)
        reads.beginRound({ ["u1", "u2"] }, over: 1000, now: 1000)
        #expect(reads.next(now: 2000) == ["u1", "u2"])
    }

    @Test("no more at once than the bound")
    func bound() {
        var reads = HeadReads()
        let users = (0..<200).map { "u\($0)" }
        reads.joined(users, now: 0, leaseMilliseconds: 100)
        var all: [String] = []
        while case let next = reads.next(now: 0), !next.isEmpty {
            #expect(next.count <= HeadReads.underWayMax)
            #expect(reads.next(now: 0).isEmpty)
            for user in next { reads.ended(user, isRead: true, now: 0) }
            all += next
        }
        #expect(all == users)
    }
}

@Suite("Reads of the log that wait their turn")
struct ReadGateTests {
    @Test("so many at once, urgent ones first")
    func turns() {
        var gate = ReadGate<Int>(underWayMax: 2)
        #expect(gate.begin(1, isUrgent: false) == 1)
        #expect(gate.begin(2, isUrgent: false) == 2)
        #expect(gate.begin(3, isUrgent: false) == nil)
        #expect(gate.begin(4, isUrgent: true) == nil)
        #expect(gate.waitingCount == 2)
        #expect(gate.end() == 4)
        #expect(gate.end() == 3)
        #expect(gate.end() == nil)
        #expect(gate.begin(5, isUrgent: false) == 5)
        #expect(gate.begin(6, isUrgent: false) == nil)
    }

    @Test("a conversation that was hinted at has one read under way; what comes meanwhile is merged")
    func hints() {
        var reads = HintReads()
        #expect(reads.note("c:1", .init(session: 1, head: 3)) == true)
        #expect(reads.note("c:1", .init(session: 2, head: 3)) == false)
        #expect(reads.note("c:1", .init(session: 1, head: 2)) == false)
        #expect(
            reads.begin("c:1").sorted { $0.session < $1.session } == [
                .init(session: 1, head: 3), .init(session: 2, head: 3),
            ]
        )
        #expect(reads.note("c:1", .init(session: 1, head: 5)) == false)
        #expect(reads.begin("c:1").isEmpty)
        #expect(reads.note("c:2", .init(session: 1, head: 1)) == true)
        let (readers, isNextDue) = reads.end("c:1")
        #expect(readers.count == 2)
        #expect(isNextDue)
        #expect(reads.begin("c:1") == [.init(session: 1, head: 5)])
        #expect(!reads.end("c:1").isNextDue)
    }
}

@Suite("Whose outbox items are whose")
struct OutboxTurnsTests {
    @Test("own ones at once, others' when they were there for long; alone all")
    func turns() {
        var turns = OutboxTurns()
        turns.appended(1)
        #expect(turns.isDue(1, now: 0, isAlone: false) == true)
        #expect(turns.isDue(2, now: 0, isAlone: false) == false)
        #expect(turns.isDue(3, now: 0, isAlone: true) == true)
        turns.endRound()
        #expect(turns.isDue(2, now: OutboxTurns.patience - 1, isAlone: false) == false)
        turns.endRound()
        #expect(turns.isDue(2, now: OutboxTurns.patience + OutboxTurns.patienceSpread, isAlone: false) == true)
        turns.settled(1)
        #expect(turns.isDue(1, now: 0, isAlone: false) == false)
    }

    @Test("what the outbox does not hold any more is forgotten")
    func forgets() {
        var turns = OutboxTurns()
        #expect(turns.isDue(2, now: 0, isAlone: false) == false)
        turns.endRound()
        turns.endRound()
        #expect(turns.isDue(2, now: 1_000_000, isAlone: false) == false)
    }

    @Test("own ones that another gateway has settled are forgotten, and make room for further ones")
    func forgetsOwn() {
        var turns = OutboxTurns()
        for number in 0..<Int64(OutboxTurns.itemsMax) { turns.appended(number) }
        let late = Int64(OutboxTurns.itemsMax)
        turns.appended(late)
        #expect(turns.isDue(late, now: 0, isAlone: false) == false, "there was no room")
        // Whatever came while the outbox was read may be missing from what was read.
        turns.endRound()
        for isAlone in [false, true] {
            #expect(turns.isDue(1, now: 0, isAlone: isAlone) == true)
            turns.endRound()
        }
        #expect(turns.isDue(2, now: 0, isAlone: false) == false, "two rounds have not shown it")
        turns.appended(late + 1)
        turns.endRound()
        #expect(turns.isDue(late + 1, now: 0, isAlone: false) == true)
        #expect(turns.isDue(1, now: 0, isAlone: false) == false)
    }
}
