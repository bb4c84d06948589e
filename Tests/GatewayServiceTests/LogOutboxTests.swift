import Contracts
import Core
import Storage
import TestSupport
import Testing

@testable import GatewayService

@Suite("Outbox of the log")
struct LogOutboxTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func route(
        _ sequence: Int,
        by user: String = "u1",
        agent: String? = nil,
        in name: String = "c:u1"
    ) -> OutboxItem.Work {
        .route(
            RoutingNeed(
                conversationID: name,
                sequence: sequence,
                requestedBy: user,
                requesterType: user.hasPrefix("a") ? .agent : .customer,
                agentID: agent
            )
        )
    }

    @Test("a conversation without agent has one route item, reported again by a repeat until it is settled")
    func route() async throws {
        let bench = try await EngineBench(directory.path)
        let first = Draft(addressee: "a1", clientID: "k1")
        let due = try await bench.run([first, Draft(addressee: nil)]).due
        #expect(due.map(\.work) == [route(1, agent: "a1")])
        #expect(try await bench.outbox() == due)
        #expect(try await bench.run([first]).due == due)
        try await bench.reopen()
        #expect(try await bench.outbox() == due)
        #expect(try await bench.run([Draft(addressee: nil), first]).due == due)
        try await bench.run(settling: due.map(\.number))
        #expect(try await bench.outbox() == [])
        for isReopened in [false, true] {
            if isReopened { try await bench.reopen() }
            #expect(try await bench.run([first, Draft(addressee: nil)]).due == [])
            #expect(try await bench.outbox() == [])
        }
    }

    @Test("an agent's item replaces a customer's, and the answer to the older one says nothing about it")
    func replaced() async throws {
        let bench = try await EngineBench(directory.path)
        let customers = try await bench.run([Draft(addressee: nil)]).due
        let agents = try await bench.run([Draft(sender: "a1", addressee: "u1")]).due
        #expect(agents.map(\.work) == [route(2, by: "a1")])
        #expect(agents[0].number > customers[0].number)
        #expect(try await bench.outbox() == agents)
        try await bench.run(settling: customers.map(\.number))
        #expect(try await bench.outbox() == agents)
        try await bench.run(settling: agents.map(\.number))
        #expect(try await bench.outbox() == [])
        // Of one commit only what is left is told.
        let both = try await bench.run([
            Draft(conversationID: "c:u2", sender: "u2", addressee: nil),
            Draft(conversationID: "c:u2", sender: "a1", addressee: "u2"),
        ])
        #expect(both.due.map(\.work) == [route(2, by: "a1", in: "c:u2")])
        #expect(try await bench.outbox() == both.due)
    }

    @Test("a decision's entry does away with it; settled late it changes nothing", arguments: [true, false])
    func decided(isReopened: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        let due = try await bench.run([Draft(addressee: nil)]).due
        #expect(try await bench.run([.system(.assigned(agentID: "a1"))]).due == [])
        #expect(try await bench.outbox() == [])
        try await bench.run([.system(.closed(asked: 2))])
        if isReopened { try await bench.reopen() }
        // Late: it must not count as routed now.
        try await bench.run(settling: due.map(\.number))
        let again = try await bench.run([Draft(addressee: nil)]).due
        #expect(again.map(\.work) == [route(4)])
        #expect(again[0].number > due[0].number)
        #expect(try await bench.run([Draft(addressee: nil), .system(.assigned(agentID: "a2"))]).due == [])
        #expect(try await bench.outbox() == [])
    }

    @Test(
        "a close that a customer's message overtook asks again, also when the writer has to look for it",
        arguments: [(2, false), (3, false), (4, false), (2, true), (3, true), (4, true)]
    )
    func overtaken(asked: Int, isReopened: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([
            Draft(addressee: nil), .system(.assigned(agentID: "a1")), Draft(addressee: nil),
            Draft(sender: "a1", addressee: "u1"),
        ])
        try await bench.run(settling: try await bench.outbox().map(\.number))
        if isReopened { try await bench.reopen() }
        let due = try await bench.run([.system(.closed(asked: asked))]).due
        #expect(due.map(\.work) == (asked < 3 ? [route(5)] : []))
        #expect(try await bench.outbox() == due)
        #expect(try await bench.conversation("c:u1", for: "u1")?.state == (asked < 3 ? .queued : .closed))
    }

    @Test("far behind the head a customer's message is taken for granted, after so many entries")
    func overtakenFar() async throws {
        for (count, isAsking) in [(999, false), (1000, false), (1001, true)] {
            let name = "c:u\(count)"
            let bench = try await EngineBench(directory.path)
            try await bench.run([
                Draft(conversationID: name, sender: "u\(count)", addressee: nil),
                .system(.assigned(agentID: "a1"), in: name),
            ])
            try await bench.run(
                (0..<count).map { _ in Draft(conversationID: name, sender: "a1", addressee: "u\(count)") }
            )
            try await bench.reopen()
            let due = try await bench.run([.system(.closed(asked: 2), in: name)]).due
            #expect(due.map(\.work) == (isAsking ? [route(count + 3, by: "u\(count)", in: name)] : []))
        }
    }

    @Test("the assigned agent's first message is due once, and stays until it is settled")
    func answered() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([Draft(addressee: nil), .system(.assigned(agentID: "a1"))])
        try await bench.reopen()
        let answer = Draft(sender: "a1", addressee: "u1", clientID: "k1")
        let due = try await bench.run([answer, Draft(sender: "a1", addressee: "u1")]).due
        #expect(due.map(\.work) == [.answered(conversationID: "c:u1", agentID: "a1", sequence: 3)])
        try await bench.reopen()
        #expect(try await bench.run([answer, Draft(sender: "a1", addressee: "u1")]).due == [])
        #expect(try await bench.outbox() == due)
        try await bench.run(settling: due.map(\.number))
        #expect(try await bench.outbox() == [])
    }

    @Test("is read in order, a part at a time, and its numbers are never given out again")
    func pages() async throws {
        let bench = try await EngineBench(directory.path)
        var numbers: [Int64] = []
        for user in 0..<5 {
            numbers += try await bench.run([Draft(conversationID: "c:u\(user)", sender: "u\(user)", addressee: nil)])
                .due
                .map(\.number)
        }
        #expect(numbers == numbers.sorted())
        #expect(try await bench.outbox(after: 0, limit: 2).map(\.number) == Array(numbers[..<2]))
        #expect(try await bench.outbox(after: numbers[1], limit: 2).map(\.number) == Array(numbers[2..<4]))
        #expect(try await bench.outbox(after: numbers[4], limit: 2) == [])
        #expect(try await bench.outbox(after: 0, limit: 0) == [])
        try await bench.run(settling: numbers + [numbers[0], 0, -1, .max])
        #expect(try await bench.outbox() == [])
        try await bench.reopen()
        let next = try await bench.run([Draft(conversationID: "c:u9", sender: "u9", addressee: nil)]).due
        #expect(try #require(next.first).number > numbers[4])
    }

    @Test("a commit that fails leaves no item, and takes none out")
    func failedCommit() async throws {
        let bench = try await EngineBench(directory.path)
        let due = try await bench.run([Draft(addressee: nil)]).due
        let other = Draft(conversationID: "c:u2", sender: "u2", addressee: nil, clientID: "k1")
        await #expect(throws: LogBench.Refused.self) {
            try await bench.run(
                [other, .system(.assigned(agentID: "a1"))],
                settling: due.map(\.number),
                isFailing: true
            )
        }
        #expect(try await bench.outbox() == due)
        #expect(try await bench.run([Draft(addressee: nil)]).due == [])
        #expect(try await bench.run([other]).outcomes == [.appended(1)])
        #expect(try await bench.outbox().map(\.work) == [route(1), route(1, by: "u2", in: "c:u2")])
    }
}
