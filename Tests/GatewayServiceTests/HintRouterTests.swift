import Contracts
import Testing

@testable import GatewayService

@Suite("Hint router: look-ups and leases (R1, R4)")
struct HintRouterTests {
    private static let lease: Int64 = 100

    private func router(waitingMax: Int = 100) -> HintRouter {
        var router = HintRouter(ownID: "a", waitingMax: waitingMax)
        _ = router.heard(answer(["a": 1, "b": 2, "c": 3]), sentAt: 0, now: 0)
        return router
    }

    private func answer(_ gateways: [String: Int], epoch: String = "e") -> GatewayRegistration {
        GatewayRegistration(
            presenceEpoch: epoch,
            registration: 1,
            gateways: gateways.sorted { $0.key < $1.key }.map {
                GatewayPeer(gatewayID: $0.key, url: "http://\($0.key):1", registration: $0.value, draining: false)
            },
            leaseMilliseconds: Int(Self.lease)
        )
    }

    private func locations(_ locations: [String: [String]]) -> Locations {
        Locations(locations: locations, leaseMilliseconds: Int(Self.lease))
    }

    /// The question that is due.
    private func asked(_ router: inout HintRouter, _ now: Int64) throws -> HintRouter.Question {
        let question = router.nextQuestion(now: now)
        return try #require(question)
    }

    /// What is told at this time, and taken.
    private func told(_ router: inout HintRouter, _ now: Int64) -> [String] {
        let requests = router.nextHints(now: now)
        for request in requests { router.taken(request) }
        return requests.flatMap { request in
            request.hints.entries.map { "\(request.peer.gatewayID): \($0.conversationID) \($0.head)" }
        }.sorted()
    }

    @Test("members are looked up after the commit, and told where they are, but not here")
    func looksUp() throws {
        var router = router()
        router.committed("c:1", 7, ["u1", "u2"], now: 10)
        let question = try asked(&router, 10)
        #expect(question.userIDs.sorted() == ["u1", "u2"])
        #expect(router.nextQuestion(now: 10) == nil)
        router.answered(question, locations(["u1": ["a", "b"], "u2": []]), now: 20)
        #expect(told(&router, 20) == ["b: c:1 7"])
        #expect(router.isIdle)
    }

    @Test("a place is good for the lease from the sending of its question, nowhere too")
    func lease() throws {
        var router = router()
        router.committed("c:1", 1, ["u1", "u2"], now: 10)
        let question = try asked(&router, 10)
        router.answered(question, locations(["u1": ["b"], "u2": []]), now: 100)
        _ = told(&router, 100)
        router.committed("c:1", 2, ["u1", "u2"], now: 109)
        #expect(told(&router, 109) == ["b: c:1 2"])
        let renewal = try asked(&router, 109)
        #expect(renewal.userIDs.sorted() == ["u1", "u2"])
        router.committed("c:1", 3, ["u1", "u2"], now: 110)
        #expect(told(&router, 110).isEmpty)
        #expect(router.takeCounts() == .init(known: 2, unknown: 4))
        router.answered(renewal, locations(["u1": ["b"], "u2": []]), now: 111)
        #expect(told(&router, 111) == ["b: c:1 3"])
    }

    @Test("an answer older than its lease serves what was committed before its question only")
    func slowAnswer() throws {
        var router = router()
        router.committed("c:1", 1, ["u1"], now: 10)
        let question = try asked(&router, 10)
        router.committed("c:2", 5, ["u1"], now: 20)
        router.answered(question, locations(["u1": []]), now: 110)
        let next = try asked(&router, 110)
        router.answered(next, locations(["u1": ["b"]]), now: 115)
        #expect(told(&router, 115) == ["b: c:2 5"])
        #expect(router.isIdle)
    }

    @Test("while presence is silent every gateway is told, and it is asked until it answers")
    func silence() throws {
        var router = router()
        router.committed("c:1", 1, ["u1"], now: 0)
        let first = try asked(&router, 0)
        router.answered(first, locations(["u1": ["b"]]), now: 1)
        _ = told(&router, 1)
        router.committed("c:1", 2, ["u1", "u2"], now: 200)
        var question = try asked(&router, 200)
        #expect(told(&router, 200).isEmpty)
        router.unanswered(question, now: 210)
        #expect(told(&router, 210) == ["b: c:1 2", "c: c:1 2"])
        #expect(router.nextQuestion(now: 459) == nil)
        // What comes meanwhile is told at once.
        router.committed("c:1", 3, ["u1"], now: 300)
        #expect(told(&router, 300) == ["b: c:1 3", "c: c:1 3"])
        for round in 1...3 {
            let now = 210 + Int64(round) * 250
            question = try asked(&router, now)
            #expect(question.userIDs.sorted() == ["u1", "u2"])
            router.unanswered(question, now: now)
            #expect(told(&router, now).isEmpty, "told twice")
        }
        question = try asked(&router, 2000)
        router.answered(question, locations(["u1": ["c"], "u2": ["b"]]), now: 2001)
        #expect(told(&router, 2001) == ["b: c:1 2", "c: c:1 3"])
        #expect(router.isIdle)
    }

    @Test("the end of a registration has its users looked up again, for what they were not told too")
    func registrationEnded() throws {
        var router = router()
        router.committed("c:1", 1, ["u1"], now: 0)
        let looked = try asked(&router, 0)
        router.answered(looked, locations(["u1": ["b", "c"]]), now: 1)
        #expect(router.nextHints(now: 1).count == 2)
        #expect(router.heard(answer(["a": 1, "b": 2, "c": 3]), sentAt: 10, now: 11) == false)
        #expect(router.heard(answer(["a": 1, "c": 3, "d": 4]), sentAt: 20, now: 21) == true)
        let question = try asked(&router, 22)
        #expect(question.userIDs == ["u1"])
        router.answered(question, locations(["u1": ["d"]]), now: 23)
        #expect(told(&router, 23) == ["d: c:1 1"])
        #expect(router.heard(answer(["a": 1, "c": 3, "d": 5]), sentAt: 30, now: 31) == true, "another incarnation")
        #expect(router.heard(answer(["a": 1]), sentAt: 29, now: 32) == false, "an answer that comes late")
    }

    @Test("another epoch of presence ends every lease")
    func epoch() throws {
        var router = router()
        router.committed("c:1", 1, ["u1"], now: 0)
        let looked = try asked(&router, 0)
        router.answered(looked, locations(["u1": ["b"]]), now: 1)
        _ = router.heard(answer(["a": 4, "b": 2], epoch: "f"), sentAt: 2, now: 3)
        router.committed("c:1", 2, ["u1"], now: 4)
        #expect(router.nextQuestion(now: 4)?.userIDs == ["u1"])
    }

    @Test("over the bound of what waits every gateway is told to read everything")
    func overrun() throws {
        var router = router(waitingMax: 3)
        for number in 0..<5 { router.committed("c:\(number)", 1, ["u1"], now: 0) }
        #expect(!router.isIdle)
        _ = router.heard(answer(["a": 1, "b": 2, "c": 3]), sentAt: 10, now: 11)
        let requests = router.nextHints(now: 11)
        #expect(requests.map(\.peer.gatewayID) == ["b", "c"])
        #expect(requests.allSatisfy { $0.hints.readAll == true })
    }

    @Test("alone for a lease from the sending of the heartbeat, and not with others")
    func alone() {
        var list = PeerList(ownID: "a")
        #expect(list.aloneUntil == .min)
        #expect(list.heard(answer(["a": 1]), sentAt: 50) != nil)
        #expect(list.aloneUntil == 150)
        #expect(list.heard(answer(["a": 1, "b": 2]), sentAt: 60) == .init())
        #expect(list.aloneUntil == .min)
        #expect(list.heard(answer(["a": 1]), sentAt: 59) == nil)
        #expect(list.heard(answer(["a": 1]), sentAt: 70)?.ended == ["b"])
        #expect(list.aloneUntil == 170)
        #expect(list.longestLease == 100)
    }

    @Test("frames wait for one look-up, and go to the last known place or nowhere")
    func frames() throws {
        var router = router()
        router.notify("u1", "x", now: 0)
        router.notify("u2", "y", now: 0)
        let question = try asked(&router, 0)
        router.answered(question, locations(["u1": ["b"], "u2": []]), now: 1)
        #expect(router.nextNotices().map(\.notifications.notices) == [[Notification(userIDs: ["u1"], frame: "x")]])
        router.notify("u3", "z", now: 1)
        let lost = try asked(&router, 1)
        router.unanswered(lost, now: 2)
        #expect(router.nextQuestion(now: 1000) == nil)
        for number in 0..<HintRouter.waitingFramesMax + 2 { router.notify("u4", "\(number)", now: 1000) }
        #expect(router.takeDroppedNotices() == 2)
    }

    @Test("who is written to is asked for again before the lease ends, once, and nothing waits for it")
    func renewal() throws {
        var router = router()
        router.committed("c:u1", 1, ["u1"], now: 0)
        router.answered(try asked(&router, 0), locations(["u1": ["b"]]), now: 1)
        _ = router.nextHints(now: 1)
        router.committed("c:u1", 2, ["u1"], now: 49)
        #expect(router.nextQuestion(now: 49) == nil)
        for head in 3...5 { router.committed("c:u1", head, ["u1"], now: 50) }
        let question = try asked(&router, 51)
        #expect(question.userIDs == ["u1"])
        router.committed("c:u1", 6, ["u1"], now: 52)
        #expect(router.takeCounts() == .init(known: 5, unknown: 1))
        router.answered(question, locations(["u1": ["b"]]), now: 53)
        #expect(router.nextQuestion(now: 53) == nil)
        router.committed("c:u1", 7, ["u1"], now: 99)
        router.committed("c:u1", 8, ["u1"], now: 110)
        #expect(router.takeCounts() == .init(known: 2, unknown: 0), "the lease counts from the second question")
    }

    @Test("the cache holds no more users than it may")
    func cacheBound() {
        var cache = LocationCache(usersMax: 3)
        for number in 0..<10 { cache.learn("u\(number)", ["b"], askedAt: 0, lease: 10) }
        #expect(cache.count <= 3)
        #expect(cache.place(of: "u9", now: 4) == .current(["b"], isEnding: false))
        #expect(cache.place(of: "u9", now: 5) == .current(["b"], isEnding: true))
        #expect(cache.place(of: "u9", now: 9) == .current(["b"], isEnding: true))
        #expect(cache.place(of: "u9", now: 10) == .lastKnown(["b"]))
        cache.learn("u9", ["b", "c"], askedAt: 0, lease: 10)
        cache.forget(gateway: "b")
        #expect(cache.place(of: "u9", now: 0) == .lastKnown(["c"]))
    }
}
