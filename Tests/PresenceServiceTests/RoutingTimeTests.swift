import Contracts
import Core
import Testing

@testable import PresenceService

@Suite("Routing: agents who are gone, customers without response")
struct RoutingTimeTests {
    @Test("an agent gone for a minute since the last frame heard loses their conversations to the front of the queue")
    func lost() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.open("u1")
        try driver.open("u2")
        driver.drop("a1", silent: 20_000)
        try driver.write("u3")
        driver.pass(39_000)
        #expect(driver.state("u1") == "open:a1")
        driver.pass(1000)
        #expect(driver.waiting == ["u1", "u2", "u3"])
        #expect(driver.history("u1").last == "transferred:agent_lost")
        #expect(driver.load("a1") == 2)
        driver.join("a2")
        // Till its entry is logged nobody gets it; those behind it need not wait for that.
        #expect(driver.state("u1") == "queued:1")
        #expect(driver.state("u3") == "open:a2")
        try driver.log("u1")
        #expect(driver.state("u1") == "open:a2")
        #expect(driver.load("a1") == 1)
    }

    @Test("back in time keeps them; back too late may get them again")
    func back() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.open("u1")
        try driver.answer("u1", by: "a1")
        driver.drop("a1")
        driver.pass(59_000)
        driver.join("a1")
        driver.pass(120_000)
        #expect(driver.state("u1") == "open:a1")
        driver.drop("a1")
        driver.pass(60_000)
        #expect(driver.state("u1") == "queued:1")
        driver.join("a1")
        try driver.log("u1")
        #expect(driver.state("u1") == "open:a1")
        #expect(driver.history("u1").last == "assigned:last_agent")
    }

    @Test("a start begins the grace of every agent with assignments, and coming back ends it (DESIGN R11)")
    func start() throws {
        var driver = TableDriver()
        driver.join("a1", "a2")
        try driver.open("u1")
        try driver.open("u2")
        for (customer, agent) in [("u1", "a1"), ("u2", "a2")] { try driver.answer(customer, by: agent) }
        driver.restart()
        #expect(driver.load("a1") == 1)
        driver.join("a1")
        driver.pass(59_000)
        #expect(driver.state("u2") == "open:a2")
        driver.pass(1000)
        #expect(driver.history("u2").last == "transferred:agent_lost")
        driver.pass(60_000)
        #expect(driver.state("u1") == "open:a1")
    }

    @Test("with a short grace a start still leaves the gateways the time to announce who is there")
    func startGrace() throws {
        var driver = TableDriver(.init(agentGrace: 500))
        driver.join("a1")
        try driver.open("u1")
        driver.restart()
        driver.pass(9000)
        #expect(driver.state("u1") == "open:a1")
        driver.pass(1000)
        #expect(driver.state("u1") == "queued:1")
    }

    @Test("a pending decision is waited for, then the lost agent's conversation goes to the queue")
    func lostWhilePending() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.write("u1")
        driver.drop("a1")
        driver.pass(90_000)
        #expect(driver.state("u1") == "open:a1")
        try driver.log("u1")
        driver.pass(1000)
        #expect(driver.state("u1") == "queued:1")
        #expect(driver.decisions.map(\.number) == [1, 2])
    }

    @Test("an agent who takes one without a connection has the grace from then on")
    func takenFromAfar() throws {
        var driver = TableDriver()
        try driver.write("u1", by: "a1")
        try driver.log("u1")
        driver.pass(40_000)
        try driver.write("u2", by: "a1")
        try driver.log("u2")
        driver.pass(50_000)
        #expect(driver.state("u1") == "open:a1")
        driver.pass(10_000)
        #expect(driver.waiting == ["u1", "u2"])
    }

    @Test("a span in which the process stood still counts for nobody")
    func stall() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.open("u1")
        driver.join("a2")
        driver.drop("a1")
        driver.pass(30_000)
        driver.now = driver.now.advanced(by: 300_000)
        driver.table.advance(now: driver.now)
        driver.pass(29_000)
        #expect(driver.state("u1") == "open:a1")
        driver.pass(1000)
        #expect(driver.state("u1") == "queued:1")
    }

    @Test("without a first response another agent with room gets it, by way of the front of the queue")
    func noResponse() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 2)
        try driver.open("u1")
        driver.pass(130_000)
        // Nobody else is there.
        #expect(driver.state("u1") == "open:a1")
        driver.join("a2", capacity: 1)
        driver.pass(1000)
        #expect(driver.state("u1") == "queued:1")
        #expect(driver.history("u1").last == "transferred:no_response")
        #expect(driver.load("a2") == 0)
        try driver.log("u1")
        #expect(driver.state("u1") == "open:a2")
        // From a2 it is waited for anew.
        try driver.log("u1")
        driver.pass(119_000)
        #expect(driver.state("u1") == "open:a2")
    }

    @Test("one who has no place elsewhere stays, and so does one who was answered")
    func responseRoom() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 3)
        for customer in ["u1", "u2", "u3"] { try driver.open(customer) }
        try driver.answer("u3", by: "a1")
        driver.join("a2", capacity: 1)
        driver.pass(121_000)
        #expect(driver.waiting == ["u1"])
        try driver.log("u1")
        driver.pass(121_000)
        #expect(driver.state("u1") == "open:a2")
        #expect(driver.state("u2") == "open:a1")
        #expect(driver.state("u3") == "open:a1")
    }

    @Test("a late report of a former turn of the agent's does not count as a response; 0 waits for ever")
    func lateAnswer() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.open("u1")
        let early = driver.seq + 1
        try driver.answer("u1", by: "a1")
        try driver.close("u1", by: "a1")
        try driver.log("u1")
        try driver.open("u1")
        try driver.perform(.answered(FirstResponse(conversationID: "c:u1", agentID: "a1", seq: early)))
        try driver.perform(.answered(FirstResponse(conversationID: "c:u1", agentID: "a9", seq: 99)))
        driver.join("a2")
        driver.pass(121_000)
        #expect(driver.history("u1").last == "transferred:no_response")

        var patient = TableDriver(.init(firstResponse: 0))
        patient.join("a1", "a2")
        try patient.open("u1")
        patient.pass(1_000_000)
        #expect(patient.state("u1") == "open:a1")
    }

    @Test("an agent who wrote before the assignment was in the log has written")
    func wroteEarly() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.write("u1")
        try driver.write("u1", by: "a1")
        try driver.log("u1")
        driver.join("a2")
        driver.pass(300_000)
        #expect(driver.state("u1") == "open:a1")
    }

    @Test("after a restart the queue is in its order, and responses are waited for anew")
    func restart() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        for customer in ["u5", "u3", "u4", "u1"] { try driver.write(customer) }
        try driver.log("u5")
        driver.pass(100_000)
        driver.restart()
        try driver.write("u0")
        #expect(driver.waiting == ["u3", "u4", "u1", "u0"])
        #expect(driver.table.oldestWait == Moment.start.wall)
        driver.join("a1", capacity: 1)
        driver.join("a2", capacity: 5)
        #expect(driver.waiting.isEmpty)
        driver.pass(110_000)
        #expect(driver.state("u5") == "open:a1")
        driver.pass(10_000)
        #expect(driver.history("u5").last == "transferred:no_response")
    }

    @Test("a reload keeps what presence said of the agents, and takes the store's word for the rest")
    func reload() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        try driver.open("u1")
        driver.drop("a1")
        let live = Array(driver.stored.values)
        driver.join("a2", capacity: 1)
        _ = try driver.table.perform(
            .need(
                .init(
                    conversationID: "c:u2",
                    customerID: "u2",
                    seq: 9,
                    requestedBy: "u2",
                    requesterType: .customer
                )
            ),
            now: driver.now
        )
        let version = driver.table.queueVersion
        driver.table.reload(live, now: driver.now)
        #expect(driver.table.conversation("c:u2") == nil)
        #expect(driver.load("a2") == 0)
        #expect(driver.load("a1") == 1)
        #expect(driver.table.queueVersion > version)
        #expect(driver.table.takeEffects().isEmpty)
        #expect(try driver.write("u2").agentID == "a2")
        driver.pass(60_000)
        #expect(driver.state("u1") == "queued:1")
    }

    @Test("the queue's version grows with every change of the line and of whether anyone is there")
    func queueVersion() throws {
        var driver = TableDriver()
        var last = driver.table.queueVersion
        func grew() -> Bool {
            defer { last = driver.table.queueVersion }
            return driver.table.queueVersion > last
        }
        try driver.write("u1")
        #expect(grew())
        #expect(!driver.table.queue.agentsPresent)
        #expect(driver.table.queue.waiting.map(\.reason) == ["no_agent"])
        try driver.write("u1")
        #expect(!grew())
        driver.join("a1", status: .busy)
        #expect(grew())
        #expect(driver.table.queue.agentsPresent)
        driver.join("a2", status: .busy)
        #expect(!grew())
        driver.setStatus(.online, of: "a2")
        #expect(grew())
    }

    @Test("an answer says in which version of the queue it has its place; a later start goes on above")
    func answeredVersion() throws {
        var driver = TableDriver()
        let first = try driver.write("u1")
        let second = try driver.write("u2")
        #expect(first.queueVersion.map { $0 < driver.table.queueVersion } == true)
        #expect(second.position == 2 && second.queueVersion == driver.table.queueVersion)
        driver.join("a1", capacity: 2)
        #expect(try driver.write("u3").state == .queued)
        #expect(try driver.table.perform(.look(conversationID: "c:u1"), now: driver.now)?.queueVersion == nil)
        let later = driver.now.advanced(by: 1000)
        #expect(RoutingTable(now: later) { "d" }.queueVersion > driver.table.queueVersion)
    }
}
