import Core
import TestSupport
import Testing

@testable import GatewayService

@Suite("When sessions end: the table of due times")
struct ExpiryTableTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test("comes out when it is due and not before, at most a bucket later")
    func due() {
        var table = ExpiryTable()
        table.enter(1, due: at(1000))
        table.enter(2, due: at(1001))
        table.enter(3, due: at(-5))
        check(table.takeDue(now: at(999)), [3])
        check(table.takeDue(now: at(1000)), [1])
        check(table.takeDue(now: at(1049)), [])
        check(table.takeDue(now: at(1050)), [2])
        #expect(table.count == 0)
        // What is due already comes with the next bucket.
        table.enter(4, due: at(0))
        check(table.takeDue(now: at(1100)), [4])
    }

    @Test("moves to an earlier time only, and is gone when taken out")
    func moves() {
        var table = ExpiryTable()
        table.enter(1, due: at(500))
        table.enter(1, due: at(900))
        table.enter(2, due: at(900))
        table.enter(2, due: at(500))
        table.enter(3, due: at(500))
        table.remove(3)
        table.remove(4)
        #expect(table.count == 2)
        check(table.takeDue(now: at(500)).sorted(), [1, 2])
        check(table.takeDue(now: at(10_000)), [])
    }

    @Test("a clock that jumps takes nothing away, and one set back keeps nobody waiting")
    func jumps() {
        var table = ExpiryTable()
        table.enter(1, due: at(1000))
        table.enter(2, due: at(5_000_000_000))
        check(table.takeDue(now: at(4_000_000_000)), [1])
        check(table.takeDue(now: at(10_000)), [])
        table.enter(3, due: at(20_000))
        check(table.takeDue(now: at(20_000)), [3])
        check(table.takeDue(now: at(5_000_000_000)), [2])
    }

    @Test("looked at every 150 ms, each is found within 250 ms of its end, however often that moves")
    func lateness() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var table = ExpiryTable()
        var ends: [UInt64: Int64] = [:]
        var found = 0
        var now: Int64 = 1_000_000
        var next: UInt64 = 0
        for _ in 0..<4000 {
            now += 150
            for number in table.takeDue(now: at(now)) {
                guard let end = ends[number] else {
                    Issue.record("seed \(seed): \(number) was taken out before")
                    continue
                }
                // Lengthened meanwhile: entered again, as the shard does.
                guard end <= now else {
                    table.enter(number, due: at(end))
                    continue
                }
                #expect(now - end <= 200, "seed \(seed)")
                ends[number] = nil
                found += 1
            }
            #expect(!ends.values.contains { $0 < now - 250 }, "seed \(seed)")
            for number in ends.keys.sorted() where random.oneIn(50) {
                if random.oneIn(4) {
                    table.remove(number)
                    ends[number] = nil
                } else {
                    let end = now + Int64(random.next(below: 20_000))
                    ends[number] = end
                    table.enter(number, due: at(end))
                }
            }
            if random.oneIn(2) {
                ends[next] = now + Int64(random.next(below: 20_000))
                table.enter(next, due: at(ends[next] ?? 0))
                next += 1
            }
            #expect(table.count == ends.count, "seed \(seed)")
        }
        #expect(found > 200, "seed \(seed)")
    }

    /// Instead of `#expect`, which takes no mutating calls.
    private func check(_ value: [UInt64], _ expected: [UInt64], _ location: SourceLocation = #_sourceLocation) {
        #expect(value == expected, sourceLocation: location)
    }
}
