import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import PresenceService

/// A store in memory that counts its commits, and can fail, or keep them waiting.
private final class ModelStore: RoutingStore {
    struct Lost: Error {}

    struct State {
        var rows: [String: RoutedConversation] = [:]
        var decisions: [RoutingDecision] = []
        var commits = 0
        var isFailing = false
        /// Whether what fails is stored all the same.
        var storesUnseen = false
        var isHeld = false
        var held: [CheckedContinuation<Void, Never>] = []
    }

    let state = Mutex(State())

    func liveConversations() async throws -> [RoutedConversation] {
        try state.withLock { state in
            guard !state.isFailing else { throw Lost() }
            return state.rows.values.filter(\.isLive)
        }
    }

    func conversations(_ conversationIDs: [String]) async throws -> [RoutedConversation] {
        state.withLock { state in conversationIDs.compactMap { state.rows[$0] } }
    }

    func store(_ effects: RoutingEffects) async throws {
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                if state.isHeld { state.held.append(continuation) }
                return state.isHeld
            }
            if !isHeld { continuation.resume() }
        }
        try state.withLock { state in
            state.commits += 1
            if !state.isFailing || state.storesUnseen {
                for row in effects.conversations { state.rows[row.conversationID] = row }
                state.decisions += effects.decisions
            }
            if state.isFailing { throw Lost() }
        }
    }

    func decisions(of conversationID: String, limit: Int) async throws -> [RoutingDecision] {
        state.withLock { state in
            Array(state.decisions.filter { $0.conversationID == conversationID }.reversed().prefix(limit))
        }
    }

    func release() {
        let held = state.withLock { state in
            state.isHeld = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }
}

@Suite("Routing: groups of commands, stored before they are told", .timeLimit(.minutes(5)))
struct RoutingTests {
    private let store = ModelStore()
    private let feed = ChangeFeed(ChangeHistory(epoch: "e", changesMax: 10), now: { Moment.start.monotonic }) {}
    private let metrics = Metrics(includesProcess: false)
    private let routing: Routing
    private let loop: Task<Void, Never>

    init() {
        let ids = Atomic(0)
        let routing = Routing(
            RoutingTable(now: .start) { "r-\(ids.add(1, ordering: .relaxed).newValue)" },
            store: store,
            feed: feed,
            queueInterval: 0,
            log: Log(service: "presence", level: .error, descriptor: -1),
            metrics: RoutingMetrics(metrics),
            clock: { .start }
        )
        self.routing = routing
        loop = Task { await routing.run() }
    }

    private func need(_ customerID: String, seq: Int = 1) async throws -> RoutingAnswer? {
        try await routing.inbox.perform(
            .need(
                AssignmentRequest(
                    conversationID: "c:\(customerID)",
                    customerID: customerID,
                    seq: seq,
                    requestedBy: customerID,
                    requesterType: .customer
                )
            )
        )
    }

    private func join(_ agentID: String) async {
        come(agentID)
        await routing.inbox.sweep()
    }

    private func come(_ agentID: String, capacity: Int? = nil) {
        let news = AgentNews(
            agentID: agentID,
            isConnected: true,
            status: .online,
            heardAt: Moment.start.monotonic
        )
        routing.inbox.follow([news])
        routing.inbox.learn(.told(capacity), of: agentID)
    }

    private func polled() async -> ChangeFeed.Answer {
        await feed.answer(.init(epoch: "e", after: 0, queue: 0), until: nil)
    }

    @Test("what waits while a commit is under way shares the next one; no answer leaves before it")
    func groups() async throws {
        store.state.withLock { $0.isHeld = true }
        async let first = need("u0")
        #expect(await eventually { store.state.withLock { !$0.held.isEmpty } })
        await withThrowingTaskGroup(of: Void.self) { group in
            for customer in 1...100 { group.addTask { _ = try await need("u\(customer)") } }
            #expect(await eventually { routing.inbox.waiting == 100 })
            #expect(await polled().queue == nil)
            store.release()
        }
        #expect(try await first?.position == 1)
        #expect(store.state.withLock { $0.commits } == 2)
        #expect(await polled().queue?.waiting.count == 101)
        loop.cancel()
    }

    @Test(
        "on a failed commit the callers get 503, nothing is told, and what the store has counts",
        arguments: [false, true]
    )
    func failure(storesUnseen: Bool) async throws {
        await join("a1")
        store.state.withLock { state in
            state.isFailing = true
            state.storesUnseen = storesUnseen
        }
        await #expect(throws: PresenceError.routingUnavailable) { try await need("u1") }
        // As long as it cannot be loaded, nothing is decided.
        await #expect(throws: PresenceError.routingUnavailable) { try await need("u2") }
        #expect(await polled().decisions.isEmpty)
        #expect(store.state.withLock { $0.commits } == 1)
        store.state.withLock { $0.isFailing = false }
        let answer = try #require(try await need("u1"))
        #expect(answer.agentID == "a1")
        #expect(answer.decision?.number == 1)
        #expect(store.state.withLock { $0.decisions.count } == 1)
        // What the store has and nobody was told of is offered at once; what was just returned is not.
        #expect(feed.pendingDecisions == 1)
        #expect(await polled().decisions == (storesUnseen ? [answer.decision].compactMap(\.self) : []))
        #expect(metrics.text.contains("presence_routing_failures_total 2"))
        loop.cancel()
    }

    @Test("an agent who comes, and more room, serve who waits at once and not with the next sweep")
    func servedAtOnce() async throws {
        for customer in ["u1", "u2"] { _ = try await need(customer) }
        come("a1", capacity: 1)
        #expect(await eventually { store.state.withLock { $0.rows["c:u1"]?.agentID } == "a1" })
        #expect(store.state.withLock { $0.rows["c:u2"]?.state } == .queued)
        routing.inbox.learn(.told(2), of: "a1")
        #expect(await eventually { store.state.withLock { $0.rows["c:u2"]?.agentID } == "a1" })
        loop.cancel()
    }

    @Test("a decision returned to its caller is offered to nobody at first, one that nobody asked for at once")
    func offers() async throws {
        await join("a1")
        let answer = try #require(try await need("u1"))
        #expect(answer.decision != nil)
        #expect(await polled().decisions.isEmpty)
        for customer in 2...6 { _ = try await need("u\(customer)") }
        await join("a2")
        let offered = await polled().decisions
        #expect(offered.map(\.conversationID) == ["c:u6"])
        #expect(offered.first?.agentID == "a2")
        #expect(await polled().decisions.isEmpty)
        #expect(feed.pendingDecisions == 6)
        let report = DecisionLogged(conversationID: "c:u6", seq: 3)
        _ = try await routing.inbox.perform(.logged(decisionID: offered[0].decisionID, report))
        #expect(feed.pendingDecisions == 5)
        #expect(metrics.text.contains(#"presence_decisions_total{kind="assigned",reason="least_loaded"} 6"#))
        #expect(metrics.text.contains("presence_conversations_open 6"))
        #expect(metrics.text.contains("presence_decisions_pending 5"))
        loop.cancel()
    }

    @Test("closed conversations are read from the store, and leave the memory again")
    func closed() async throws {
        await join("a1")
        let opened = try #require(try await need("u1"))
        let decisionID = try #require(opened.decision?.decisionID)
        let report = DecisionLogged(conversationID: "c:u1", seq: 2)
        _ = try await routing.inbox.perform(.logged(decisionID: decisionID, report))
        let request = RoutingRequest(conversationID: "c:u1", requestedBy: "a1", isAdmin: false, seq: 2)
        let closed = try #require(try await routing.inbox.perform(.close(request)))
        let closeID = try #require(closed.decision?.decisionID)
        let closeReport = DecisionLogged(conversationID: "c:u1", seq: 3)
        _ = try await routing.inbox.perform(.logged(decisionID: closeID, closeReport))
        #expect(store.state.withLock { $0.rows["c:u1"]?.state } == .closed)
        #expect(try await routing.inbox.perform(.close(request))?.state == .closed)
        let history = try await routing.history(of: "c:u1", limit: 9)
        #expect(history.answer.reason == "closed_by")
        #expect(history.decisions.map(\.number) == [2, 1])
        let again = try #require(try await need("u1", seq: 4))
        #expect(again.decision?.reason == "last_agent")
        #expect(again.decision?.number == 3)
        loop.cancel()
    }

    @Test("after the stop everything is refused, and the stop waits for the group under way")
    func stop() async throws {
        store.state.withLock { $0.isHeld = true }
        async let first = need("u1")
        #expect(await eventually { store.state.withLock { !$0.held.isEmpty } })
        async let stopped: Void = routing.stop()
        #expect(await eventually { (try? await routing.inbox.perform(.look(conversationID: "c:u1"))) == nil })
        store.release()
        await stopped
        #expect(try await first?.position == 1)
        await #expect(throws: PresenceError.routingUnavailable) { try await need("u2") }
        await routing.inbox.sweep()
    }

    @Test("more commands than the inbox takes are refused at once")
    func overload() async throws {
        store.state.withLock { $0.isHeld = true }
        let first = Task { try await need("u0") }
        #expect(await eventually { store.state.withLock { !$0.held.isEmpty } })
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<RoutingInbox.commandsMax { group.addTask { (try? await need("u0")) != nil } }
            #expect(await eventually { routing.inbox.waiting == RoutingInbox.commandsMax })
            await #expect(throws: PresenceError.routingUnavailable) { try await need("u1") }
            store.release()
            for await isAnswered in group { #expect(isAnswered) }
        }
        _ = try await first.value
        loop.cancel()
    }
}

@Suite("Routing: capacities of accounts", .timeLimit(.minutes(5)))
struct CapacityKeeperTests {
    @Test("asked for once an agent comes, again after 30 s, sooner after a failure; nothing is given before")
    func asking() async throws {
        let driver = try await RouteDriver(capacities: ["a1": 1])
        let asked = Mutex<[[String]]>([])
        let isDown = Mutex(true)
        let now = Mutex(Moment.start)
        let keeper = CapacityKeeper(routing: driver.routing, clock: { now.withLock { $0 } }) { userIDs in
            asked.withLock { $0.append(userIDs) }
            if isDown.withLock({ $0 }) { throw PresenceError.routingUnavailable }
            return userIDs.map {
                UserSummary(userID: $0, userName: "n", userType: .agent, disabled: false, capacity: 1)
            }
        }
        _ = try await driver.announce("g1", ["a1:Kefu", "a2:Kefu", "u9:Kehu"])
        await driver.routing.inbox.sweep()
        await driver.need("u1")
        #expect(await driver.state("u1") == "queued")
        await keeper.ask()
        await driver.routing.inbox.sweep()
        // Auth does not answer: the default has to do.
        #expect(await driver.state("u1") == "open")
        await keeper.ask()
        isDown.withLock { $0 = false }
        now.withLock { $0 = $0.advanced(by: CapacityKeeper.retryInterval) }
        await keeper.ask()
        await keeper.ask()
        #expect(asked.withLock { $0 } == [["a1", "a2"], ["a1", "a2"]])
        for customer in ["u2", "u3"] { await driver.need(customer) }
        // One each, by their accounts.
        #expect(await driver.state("u2") == "open")
        #expect(await driver.state("u3") == "queued")
        now.withLock { $0 = $0.advanced(by: CapacityKeeper.interval) }
        await keeper.ask()
        #expect(asked.withLock { $0.count } == 3)
    }

    @Test("an agent whose account has changed is asked about at once, also when the answer was under way")
    func changed() async throws {
        let driver = try await RouteDriver()
        let asked = Mutex<[[String]]>([])
        let inBetween = Mutex<(@Sendable () -> Void)?>(nil)
        let keeper = CapacityKeeper(routing: driver.routing, clock: { .start }) { userIDs in
            asked.withLock { $0.append(userIDs) }
            let change = inBetween.withLock { change in
                defer { change = nil }
                return change
            }
            change?()
            return []
        }
        _ = try await driver.announce("g1", ["a1:Kefu", "a2:Kefu"])
        await driver.routing.inbox.sweep()
        await keeper.ask()
        keeper.userChanged("u9")
        keeper.userChanged("a2")
        inBetween.withLock { $0 = { keeper.userChanged("a2") } }
        await keeper.ask()
        await keeper.ask()
        await keeper.ask()
        #expect(asked.withLock { $0 } == [["a1", "a2"], ["a2"], ["a2"]])
        keeper.reset()
        await keeper.ask()
        #expect(asked.withLock { $0.last } == ["a1", "a2"])
        // Whoever runs it is woken; by the first one at the latest it has taken what woke it from before.
        let run = Task { await keeper.run() }
        for agentID in ["a1", "a2"] {
            keeper.userChanged(agentID)
            #expect(await eventually { asked.withLock { $0.last } == [agentID] })
        }
        keeper.reset()
        #expect(await eventually { asked.withLock { $0.last } == ["a1", "a2"] })
        run.cancel()
    }

    @Test("an agent who was gone is asked about as a new one")
    func comesBack() async throws {
        let driver = try await RouteDriver()
        let asked = Mutex<[[String]]>([])
        let keeper = CapacityKeeper(routing: driver.routing, clock: { .start }) { userIDs in
            asked.withLock { $0.append(userIDs) }
            return []
        }
        let agents = ["a1:Kefu", "a2:Kefu"]
        let number = try await driver.announce("g1", agents)
        await driver.routing.inbox.sweep()
        await keeper.ask()
        let events = [
            #"{"kind":"leave","user_id":"a1"}"#,
            #"{"kind":"join","user_id":"a1","user_name":"n","user_type":"Kefu"}"#,
        ]
        for (index, event) in events.enumerated() {
            // After those of the announcement, which has a beginning and an end.
            let first = agents.count + 3 + index
            let body = #"{"gateway_id":"g1","registration":\#(number),"first":\#(first),"events":[\#(event)]}"#
            #expect(try await driver.send(.post, "/internal/events", body).status == 200)
            await driver.routing.inbox.sweep()
            await keeper.ask()
        }
        #expect(asked.withLock { $0 } == [["a1", "a2"], ["a1"]])
    }

    @Test("an agent who leaves and comes back while they are asked about is asked about again, and given customers")
    func comesBackMeanwhile() async throws {
        let driver = try await RouteDriver()
        let asked = Mutex<[[String]]>([])
        let keeper = CapacityKeeper(routing: driver.routing, clock: { .start }) { userIDs in
            let isFirst = asked.withLock { asked in
                asked.append(userIDs)
                return asked.count == 1
            }
            // The first answer comes while they are not there.
            if isFirst { _ = try await driver.announce("g1", incarnation: "start-2", []) }
            if isFirst { await driver.routing.inbox.sweep() }
            return []
        }
        _ = try await driver.announce("g1", incarnation: "start-1", ["a1:Kefu"])
        await driver.routing.inbox.sweep()
        await keeper.ask()
        await driver.routing.inbox.sweep()
        _ = try await driver.announce("g1", incarnation: "start-3", ["a1:Kefu"])
        await driver.routing.inbox.sweep()
        await driver.need("u1")
        #expect(await driver.state("u1") == "queued")
        await keeper.ask()
        await keeper.ask()
        await driver.routing.inbox.sweep()
        #expect(await driver.state("u1") == "open")
        #expect(asked.withLock { $0 } == [["a1"], ["a1"]], "once for each stay")
    }
}
