import Testing

@testable import Net

@Suite("Timer queue") struct TimerQueueTests {
    @Test("gives timers in deadline order, equal ones in the order of adding")
    func order() {
        var queue = TimerQueue<Int>()
        for (deadline, work) in [(30, 3), (10, 1), (20, 2), (10, 11)] as [(Int64, Int)] {
            _ = queue.add(deadline: deadline, work)
        }
        var fired: [Int] = []
        while let work = queue.popDue(now: 20) { fired.append(work) }
        #expect(fired == [1, 11, 2])
        #expect(queue.earliestDeadline == 30)
    }

    @Test("skips cancelled timers and forgets them")
    func cancel() {
        var queue = TimerQueue<Int>()
        let first = queue.add(deadline: 1, 1)
        _ = queue.add(deadline: 2, 2)
        queue.cancel(first)
        queue.cancel(first)
        #expect(queue.earliestDeadline == 2)
        #expect(queue.popDue(now: 5) == 2)
        #expect(queue.popDue(now: 5) == nil)
        #expect(queue.earliestDeadline == nil)
    }

    @Test("agrees with sorting, for random adds and cancels", arguments: [1, 2, 3] as [UInt64])
    func random(seed: UInt64) {
        var state = seed
        func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        var queue = TimerQueue<Int>()
        var model: [(deadline: Int64, work: Int, id: TimerID)] = []
        for work in 0..<2000 {
            let deadline = Int64(next(500))
            model.append((deadline, work, queue.add(deadline: deadline, work)))
            if next(3) == 0 {
                let victim = model.remove(at: Int(next(UInt64(model.count))))
                queue.cancel(victim.id)
            }
        }
        #expect(queue.count == model.count)
        var fired: [Int] = []
        while let work = queue.popDue(now: 1000) { fired.append(work) }
        #expect(fired == model.sorted { ($0.deadline, $0.work) < ($1.deadline, $1.work) }.map(\.work), "seed \(seed)")
    }
}
