import Contracts
import Core
import HTTP
import Storage
import Synchronization
import TestSupport
import Testing

@testable import PresenceService

private func decision(_ number: Int) -> RoutingDecision {
    RoutingDecision(
        decisionID: "r-\(number)",
        number: number,
        conversationID: "c:u1",
        kind: .assigned,
        agentID: "a1",
        reason: "least_loaded",
        at: Moment.start.wall
    )
}

@Suite("Offers of decisions (DESIGN R9)")
struct DecisionOffersTests {
    @Test("each is offered from its time on, oldest first, to one asker, and again after 2 s until it is logged")
    func offering() {
        var offers = DecisionOffers()
        offers.add(decision(1), dueAt: 100)
        offers.add(decision(2), dueAt: 0)
        offers.add(decision(3), dueAt: 0)
        var taken = offers.take(now: 0, limit: 1)
        #expect(taken == [decision(2)])
        taken = offers.take(now: 99, limit: 9)
        #expect(taken == [decision(3)])
        #expect(!offers.isDue(now: 99))
        #expect(offers.isDue(now: 100))
        taken = offers.take(now: 1999, limit: 9)
        #expect(taken == [decision(1)])
        offers.remove("r-3")
        taken = offers.take(now: 3999, limit: 9)
        #expect(taken == [decision(1), decision(2)])
        #expect(offers.count == 2)
    }
}

@Suite("The change feed's routing half", .timeLimit(.minutes(5)))
struct RoutingFeedTests {
    private let feed: ChangeFeed

    init() {
        let clock = ClockBox()
        box = clock
        feed = ChangeFeed(ChangeHistory(epoch: "e", changesMax: 100), now: { clock.now.withLock { $0 } }) {}
    }

    private final class ClockBox: Sendable {
        let now = Mutex<Milliseconds>(0)
    }

    private let box: ClockBox

    private func queue(_ version: Int) -> WaitingQueue {
        WaitingQueue(version: version, agentsPresent: true, waiting: [])
    }

    private func ask(_ queue: Int? = nil, epoch: String = "e", wait: Bool = true) async -> ChangeFeed.Answer {
        await feed.answer(.init(epoch: epoch, after: 0, queue: queue), until: wait ? .max : nil)
    }

    @Test("a decision wakes who waits; one asker gets it, the others wait on")
    func decisions() async {
        await withTaskGroup(of: [RoutingDecision].self) { group in
            for _ in 0..<3 { group.addTask { [self] in await ask().decisions } }
            #expect(await eventually { feed.waiting == 3 })
            feed.offer([(decision(1), dueAt: 0)])
            #expect(await group.next() == [decision(1)])
            #expect(await eventually { feed.waiting == 2 })
            // Not logged in time: somebody else gets it.
            feed.expire(now: 1999)
            #expect(feed.waiting == 2)
            box.now.withLock { $0 = 2000 }
            feed.expire(now: 2000)
            #expect(await group.next() == [decision(1)])
            #expect(await eventually { feed.waiting == 1 })
            feed.offer([], withdrawing: ["r-1"])
            box.now.withLock { $0 = 9000 }
            feed.expire(now: 9000)
            #expect(feed.waiting == 1)
            feed.close()
            #expect(await group.next() == [])
        }
    }

    @Test("who gathered for a decision that another one then got waits on")
    func gatheredInVain() async {
        let gathering = Atomic(0)
        let open = Atomic(false)
        let feed = ChangeFeed(ChangeHistory(epoch: "e", changesMax: 100), now: { 0 }) {
            gathering.add(1, ordering: .relaxed)
            _ = await eventually { open.load(ordering: .relaxed) }
        }
        await withTaskGroup(of: [RoutingDecision].self) { group in
            for _ in 0..<2 {
                group.addTask { await feed.answer(.init(epoch: "e", after: 0), until: .max).decisions }
            }
            #expect(await eventually { feed.waiting == 2 })
            feed.offer([(decision(1), dueAt: 0)])
            #expect(await eventually { gathering.load(ordering: .relaxed) == 2 })
            open.store(true, ordering: .relaxed)
            #expect(await group.next() == [decision(1)])
            #expect(await eventually { feed.waiting == 1 })
            feed.close()
            #expect(await group.next() == [])
        }
    }

    @Test("one that was returned to a caller is not offered before its time")
    func returned() async {
        feed.offer([(decision(1), dueAt: 2000)])
        #expect(await ask(wait: false).decisions.isEmpty)
        box.now.withLock { $0 = 2000 }
        #expect(await ask(wait: false).decisions == [decision(1)])
    }

    @Test("the queue is told to who has another version, and wakes only those")
    func queues() async {
        #expect(await ask(0, wait: false).queue == nil)
        feed.show(queue(1))
        #expect(await ask(0).queue == queue(1))
        #expect(await ask(1, wait: false).queue == nil)
        #expect(await ask(1, epoch: "former").queue == queue(1))
        #expect(await ask(epoch: "former").queue == nil)
        async let follower = ask(1)
        async let other = ask()
        #expect(await eventually { feed.waiting == 2 })
        feed.show(queue(2))
        #expect(await follower.queue == queue(2))
        #expect(feed.waiting == 1)
        feed.close()
        #expect(await other.queue == nil)
    }

    @Test("by the route: decisions and the queue, at most one queue an interval")
    func route() async throws {
        let driver = try await RouteDriver(queueInterval: 1000)
        await driver.settle()
        func page(_ queue: Int) async throws -> [String: any Sendable] {
            try await driver.send(.get, "/internal/changes?epoch=epoch&after=0&queue=\(queue)").json
        }
        let first = try #require(try await page(0)["queue"] as? [String: any Sendable])
        let version = try #require(first["version"] as? Int)
        #expect((first["waiting"] as? [any Sendable])?.isEmpty == true)
        for customer in 1...50 { await driver.need("u\(customer)") }
        #expect(try await page(version)["queue"] == nil)
        await driver.pass(1000)
        let moved = try #require(try await page(version)["queue"] as? [String: any Sendable])
        #expect(moved["agents_present"] as? Bool == false)
        let waiting = try #require(moved["waiting"] as? [[String: any Sendable]])
        #expect(waiting.map { $0["customer_id"] as? String } == (1...50).map { "u\($0)" })
        #expect(waiting.first?["reason"] as? String == "no_agent")
        _ = try await driver.announce("g1", ["a1:Kefu"])
        await driver.settle()
        let news = try await page(moved["version"] as? Int ?? 0)
        #expect((news["decisions"] as? [[String: any Sendable]])?.count == 5)
        #expect(news["queue"] == nil)
        #expect((news["changes"] as? [any Sendable])?.count == 1)
        #expect(try await driver.send(.get, "/internal/changes?queue=-1").status == 400)
    }

    @Test("after a start what was decided and is not known to be in the log is offered, until it is (R9)")
    func offeredAfterStart() async throws {
        let decision = decision(1)
        var row = RoutedConversation(conversationID: "c:u1", customerID: "u1")
        row.state = .open
        row.agentID = "a1"
        row.decisionNumber = decision.number
        row.pending = decision
        let directory = try TemporaryDirectory()
        let file = try await PresenceSchema.open(path: directory.file("presence.sqlite"))
        try await SQLiteRoutingStore(file).store(RoutingEffects(conversations: [row], decisions: [decision]))
        await file.close()
        let driver = try await RouteDriver(in: directory)
        func offered() async throws -> [String?] {
            let json = try await driver.send(.get, "/internal/changes?epoch=epoch&after=0").json
            return (json["decisions"] as? [[String: any Sendable]] ?? []).map { $0["decision_id"] as? String }
        }
        for _ in 0..<2 {
            #expect(try await offered() == ["r-1"])
            #expect(try await offered() == [])
            await driver.pass(2000)
        }
        let report = #"{"conversation_id":"c:u1","seq":2}"#
        #expect(try await driver.send(.post, "/internal/assignments/r-1/logged", report).status == 204)
        await driver.pass(2000)
        #expect(try await offered() == [])
    }

    @Test("after a start the loaded queue is held back until the gateways had time to say who is there")
    func heldBack() async throws {
        var row = RoutedConversation(conversationID: "c:u1", customerID: "u1")
        row.state = .queued
        row.ticket = 1
        let directory = try TemporaryDirectory()
        let file = try await PresenceSchema.open(path: directory.file("presence.sqlite"))
        try await SQLiteRoutingStore(file).store(RoutingEffects(conversations: [row]))
        await file.close()
        let driver = try await RouteDriver(in: directory)
        await driver.pass(9500)
        let target = "/internal/changes?epoch=epoch&after=0&queue=0"
        #expect(try await driver.send(.get, target).json["queue"] == nil)
        await driver.pass(500)
        #expect(try await driver.send(.get, target).json["queue"] != nil)
    }
}
