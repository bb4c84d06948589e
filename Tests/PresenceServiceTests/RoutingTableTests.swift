import Contracts
import Core
import Testing

@testable import PresenceService

@Suite("Routing: who gets a conversation")
struct RoutingChoiceTests {
    @Test("a message without agent goes to the least loaded, of those to the longest idle, then by id")
    func leastLoaded() throws {
        var driver = TableDriver()
        driver.join("a2", "a1")
        #expect(try driver.write("u1").agentID == "a1")
        #expect(try driver.write("u2").agentID == "a2")
        driver.now = driver.now.advanced(by: 10)
        for customer in ["u1", "u2"] { try driver.log(customer) }
        // Both have one; a1 frees one and takes another later than a2 took theirs.
        try driver.close("u1", by: "a1")
        try driver.log("u1")
        #expect(try driver.write("u3").agentID == "a1")
        #expect(try driver.write("u4").agentID == "a2")
        #expect(driver.history("u4") == ["assigned:least_loaded"])
    }

    @Test("the named agent first, then the one who served the customer last; both only if available with room")
    func preferences() throws {
        var driver = TableDriver()
        driver.join("a1", "a2", capacity: 2)
        #expect(try driver.write("u1", naming: "a2").agentID == "a2")
        #expect(driver.history("u1") == ["assigned:named_agent"])
        try driver.log("u1")
        try driver.close("u1", by: "a2")
        try driver.log("u1")
        #expect(try driver.write("u1").agentID == "a2")
        #expect(driver.history("u1").last == "assigned:last_agent")
        try driver.log("u1")
        try driver.close("u1", by: "a2")
        try driver.log("u1")
        driver.setStatus(.busy, of: "a2")
        #expect(try driver.write("u1").agentID == "a1")
        #expect(try driver.write("u2", naming: "a2").agentID == "a1")
        #expect(driver.history("u2") == ["assigned:least_loaded"])
    }

    @Test("automatic routing stops at the account's capacity, or the default; more room drains the queue")
    func capacity() throws {
        var driver = TableDriver(.init(agentCapacity: 2))
        driver.join("a1")
        for customer in ["u1", "u2", "u3"] { try driver.write(customer) }
        #expect(driver.state("u3") == "queued:1")
        #expect(driver.history("u3") == ["queued:all_busy"])
        driver.table.agents.setCapacity(3, of: "a1")
        driver.pass(1000)
        #expect(driver.state("u3") == "open:a1")
        driver.table.agents.setCapacity(1, of: "a1")
        try driver.write("u4")
        #expect(driver.state("u4") == "queued:1")
        #expect(driver.load("a1") == 3)
    }

    @Test("until an agent's account was asked for they get nothing; unanswered, the default counts")
    func unknownCapacity() throws {
        var driver = TableDriver()
        let news = AgentNews(agentID: "a1", isConnected: true, status: .online, heardAt: driver.now.monotonic)
        driver.table.agents.follow(news, now: driver.now.monotonic)
        #expect(try driver.write("u1").state == .queued)
        driver.table.agents.presumeCapacity(of: "a1")
        driver.pass(1000)
        #expect(driver.state("u1") == "open:a1")
    }

    @Test("a slot is taken when decided and freed when the entry that ends it is logged; that serves the next one")
    func slots() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        try driver.write("u1")
        try driver.write("u2")
        #expect(driver.load("a1") == 1)
        try driver.log("u1")
        try driver.close("u1", by: "a1")
        #expect(driver.load("a1") == 1)
        driver.pass(5000)
        #expect(driver.state("u2") == "queued:1")
        try driver.log("u1")
        #expect(driver.state("u2") == "open:a1")
        #expect(driver.load("a1") == 1)
        #expect(driver.history("u2") == ["queued:all_busy", "assigned:least_loaded"])
    }

    @Test("only Online agents who are connected get conversations; coming, or going Online, drains the queue")
    func availability() throws {
        var driver = TableDriver()
        try driver.write("u1")
        #expect(driver.history("u1") == ["queued:no_agent"])
        driver.join("a1", status: .away)
        #expect(driver.state("u1") == "queued:1")
        try driver.write("u2")
        #expect(driver.history("u2") == ["queued:all_busy"])
        driver.setStatus(.online, of: "a1")
        #expect(driver.state("u1") == "open:a1")
        #expect(driver.state("u2") == "open:a1")
        driver.drop("a1")
        try driver.write("u3")
        #expect(driver.history("u3") == ["queued:no_agent"])
        driver.join("a2")
        #expect(driver.state("u3") == "open:a2")
    }

    @Test("first come, first served; a named or last agent is not waited for")
    func order() throws {
        var driver = TableDriver()
        for customer in ["u1", "u2", "u3"] { try driver.write(customer, naming: customer == "u1" ? "a9" : nil) }
        #expect(driver.waiting == ["u1", "u2", "u3"])
        #expect(driver.state("u2") == "queued:2")
        driver.join("a1", capacity: 1)
        #expect(driver.state("u1") == "open:a1")
        #expect(driver.waiting == ["u2", "u3"])
        #expect(driver.state("u3") == "queued:2")
    }

    @Test("an agent who writes takes the conversation, whatever their load and status, and it is recorded")
    func agentWrote() throws {
        var driver = TableDriver()
        driver.join("a1", status: .busy, capacity: 1)
        #expect(try driver.write("u1", by: "a1").agentID == "a1")
        #expect(try driver.write("u2", by: "a1").agentID == "a1")
        try driver.write("u3")
        #expect(try driver.write("u3", by: "a1").state == .open)
        #expect(driver.history("u3") == ["queued:all_busy", "assigned:agent_wrote"])
        #expect(driver.load("a1") == 3)
        #expect(driver.decisions.last?.requestedBy == "a1")
        // Who wrote need not be waited for.
        driver.pass(300_000)
        #expect(driver.state("u3") == "open:a1")
    }

    @Test("asking again changes nothing")
    func repeats() throws {
        var driver = TableDriver()
        driver.join("a1")
        let first = try driver.write("u1", seq: 1)
        #expect(try driver.write("u1", seq: 1) == first)
        try driver.log("u1")
        #expect(try driver.write("u1", seq: 1).agentID == "a1")
        try driver.write("u2")
        #expect(driver.decisions.count == 2)
        #expect(first.decision == driver.decisions.first)
        #expect(first.decision?.number == 1)
    }

    @Test("past queue_max a new one is refused, and taken when there is room; an agent's message needs no place")
    func queueMax() throws {
        var driver = TableDriver(.init(queueMax: 2, conversationsMax: 3))
        try driver.write("u1")
        try driver.write("u2")
        #expect(throws: PresenceError.queueFull) { try driver.write("u3") }
        #expect(driver.state("u3") == "unknown")
        try driver.write("u4", by: "a1")
        #expect(throws: PresenceError.queueFull) { try driver.write("u5", by: "a1") }
        driver.join("a2", capacity: 1)
        try driver.log("u1")
        try driver.close("u1", by: "a2")
        try driver.log("u1")
        #expect(driver.state("u2") == "open:a2")
        #expect(try driver.write("u3").state == .queued)
    }

    @Test("a thousand who come at once, and ten thousand open ones, are a matter of a moment")
    func manyAtOnce() throws {
        var driver = TableDriver()
        for agent in 0..<2000 { driver.join("b\(agent)") }
        for customer in 0..<10_000 { try driver.write("o\(customer)") }
        #expect(driver.table.openCount == 10_000)
        let clock = ContinuousClock()
        let elapsed = try clock.measure {
            for customer in 0..<2000 { try driver.write("w\(customer)") }
            for customer in 0..<1000 { try driver.log("o\(customer)") }
            for customer in 0..<1000 {
                try driver.close("o\(customer)", by: try #require(driver.table.conversation("c:o\(customer)")?.agentID))
                try driver.log("o\(customer)")
            }
        }
        #expect(driver.waiting.count == 1000)
        #expect(driver.waiting.first == "w1000")
        // Under a second on an idle machine, also built for debugging; a square would be minutes.
        #expect(elapsed < .seconds(60), "\(elapsed)")
    }
}
