import Contracts
import Core
import Testing

@testable import PresenceService

@Suite("Routing: what people ask for")
struct RoutingRequestTests {
    /// Agents a1 and a2, and u1's conversation with a1, logged.
    private func opened() throws -> TableDriver {
        var driver = TableDriver()
        driver.join("a1", capacity: 2)
        try driver.open("u1")
        driver.join("a2", capacity: 2)
        return driver
    }

    @Test("any agent takes a waiting one, over their capacity too; another's only an administrator gives away")
    func taking() throws {
        var driver = TableDriver()
        driver.join("a1", status: .away, capacity: 1)
        for customer in ["u1", "u2", "u3"] { try driver.write(customer) }
        for customer in ["u1", "u2"] {
            let answer = try driver.perform(.assign(driver.request(customer, by: "a1", to: "a1")))
            #expect(answer?.agentID == "a1")
            #expect(answer?.decision?.reason == "agent_took")
        }
        #expect(driver.load("a1") == 2)
        #expect(throws: PresenceError.notTheirConversation) {
            try driver.perform(.assign(driver.request("u3", by: "a1", to: "a2")))
        }
        #expect(throws: PresenceError.notTheirConversation) {
            try driver.perform(.assign(driver.request("u1", by: "a2", to: "a2")))
        }
        driver.join("a2", status: .away)
        driver.setStatus(.online, of: "a2")
        #expect(driver.state("u3") == "open:a2")
    }

    @Test("an administrator assigns a waiting one to an agent who is Online with room")
    func assigning() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        try driver.open("u1")
        try driver.write("u2")
        let byAdmin = driver.request("u2", by: "boss", to: "a1", isAdmin: true)
        #expect(throws: PresenceError.agentAtCapacity) { try driver.perform(.assign(byAdmin)) }
        driver.setStatus(.busy, of: "a1")
        #expect(throws: PresenceError.agentUnavailable) { try driver.perform(.assign(byAdmin)) }
        driver.drop("a1")
        #expect(throws: PresenceError.agentUnavailable) { try driver.perform(.assign(byAdmin)) }
        #expect(driver.state("u2") == "queued:1")
        driver.join("a2", status: .away, capacity: 1)
        driver.join("a3", capacity: 0)
        try driver.perform(.assign(driver.request("u2", by: "a2", to: "a2", note: "mine")))
        #expect(driver.decisions.last?.note == "mine")
        #expect(driver.history("u2") == ["queued:all_busy", "assigned:agent_took"])
    }

    @Test("a customer's message that overtakes an end opens it again, whoever wrote between")
    func overtakenAfterAnAgentWrote() throws {
        var driver = TableDriver()
        try driver.write("u1", seq: 1)
        try driver.close("u1", by: "a1")
        // Before the entry of the end: another agent, and then the customer, for whom the entry itself asks.
        try driver.write("u1", by: "a2", seq: 2)
        try driver.write("u1", seq: 4)
        driver.seq = 3
        try driver.log("u1")
        #expect(driver.state("u1") == "queued:1")
    }

    @Test("the queue is told as far as an answer holds it")
    func longQueue() throws {
        var driver = TableDriver(.init(queueMax: 20_000))
        for number in 0..<WaitingQueue.waitingMax { try driver.write("u\(number)") }
        #expect(try driver.write("last").position == WaitingQueue.waitingMax + 1)
        #expect(driver.table.queue.waiting.count == WaitingQueue.waitingMax)
        #expect(driver.table.queue.waiting.first?.customerID == "u0")
    }

    @Test("until an agent's account was asked for, nobody gives them anything", arguments: [false, true])
    func capacityNotKnownYet(isAfterStart: Bool) throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 5)
        try driver.open("u1")
        if isAfterStart {
            driver.join("a2", capacity: 1)
            driver.restart()
            for agentID in ["a1", "a2"] { driver.comeBack(agentID) }
        } else {
            driver.comeBack("a2")
        }
        let request = driver.request("u1", by: "boss", to: "a2", isAdmin: true)
        #expect(throws: PresenceError.capacityUnknown) { try driver.perform(.transfer(request)) }
        driver.table.agents.setCapacity(0, of: "a2")
        #expect(throws: PresenceError.agentAtCapacity) { try driver.perform(.transfer(request)) }
        driver.table.agents.setCapacity(1, of: "a2")
        #expect(try driver.perform(.transfer(request))?.agentID == "a2")
    }

    @Test("what an administrator assigns is recorded as such")
    func assignedBy() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        try driver.open("u1")
        try driver.write("u2")
        try driver.close("u1", by: "a1")
        driver.join("a2", status: .away)
        // a1's slot is freed by the report, and then u2 would have it; a2 comes Online for this one alone.
        driver.table.agents.setCapacity(0, of: "a1")
        try driver.log("u1")
        driver.table.agents.setCapacity(1, of: "a1")
        let answer = try driver.perform(.assign(driver.request("u2", by: "boss", to: "a1", isAdmin: true, note: "n")))
        #expect(answer?.agentID == "a1")
        #expect(driver.decisions.last?.reason == "assigned_by")
        #expect(driver.decisions.last?.requestedBy == "boss")
    }

    @Test("the assigned agent, or an administrator, transfers to an agent with room; both slots are taken till logged")
    func transferring() throws {
        var driver = try opened()
        #expect(throws: PresenceError.notTheirConversation) {
            try driver.perform(.transfer(driver.request("u1", by: "a2", to: "a2")))
        }
        let answer = try driver.perform(.transfer(driver.request("u1", by: "a1", to: "a2", note: "French")))
        #expect(answer?.agentID == "a2")
        let decision = try #require(answer?.decision)
        #expect(decision.kind == .transferred)
        #expect(decision.formerAgentID == "a1")
        #expect(decision.agentID == "a2")
        #expect(decision.reason == "transferred_by")
        #expect(decision.note == "French")
        #expect(driver.load("a1") == 1)
        #expect(driver.load("a2") == 1)
        // Theirs already: the answer as it is, also while it is pending; anything else has to wait.
        #expect(try driver.perform(.transfer(driver.request("u1", by: "a2", to: "a2"))) == answer)
        #expect(throws: PresenceError.decisionPending) {
            try driver.perform(.transfer(driver.request("u1", by: "a2", to: "a1")))
        }
        #expect(throws: PresenceError.decisionPending) { try driver.close("u1", by: "a2") }
        try driver.log("u1")
        #expect(driver.load("a1") == 0)
        #expect(driver.load("a2") == 1)
        #expect(try driver.perform(.assign(driver.request("u1", by: "boss", to: "a1", isAdmin: true)))?.agentID == "a1")
    }

    @Test("returned to the queue it waits at the front, and does not come back to the same agent at once")
    func returning() throws {
        var driver = TableDriver()
        driver.join("a1", capacity: 1)
        try driver.open("u1")
        try driver.write("u2")
        let answer = try driver.perform(.transfer(driver.request("u1", by: "a1")))
        #expect(answer?.state == .queued)
        #expect(answer?.position == 1)
        #expect(answer?.decision?.agentID == nil)
        #expect(answer?.decision?.formerAgentID == "a1")
        #expect(try driver.perform(.transfer(driver.request("u1", by: "a1"))) == answer)
        #expect(driver.waiting == ["u1", "u2"])
        try driver.log("u1")
        // a1's slot goes to the next one, not to the one that a1 let go.
        #expect(driver.state("u1") == "queued:1")
        #expect(driver.state("u2") == "open:a1")
        driver.join("a2", capacity: 1)
        #expect(driver.state("u1") == "open:a2")
        #expect(driver.history("u1").suffix(2) == ["transferred:returned_to_queue", "assigned:least_loaded"])
    }

    @Test("if nobody else comes, the agent who let it go gets it after a minute")
    func returned() throws {
        var driver = TableDriver()
        driver.join("a1")
        try driver.open("u1")
        try driver.perform(.transfer(driver.request("u1", by: "a1")))
        try driver.log("u1")
        driver.pass(59_000)
        #expect(driver.state("u1") == "queued:1")
        driver.pass(1000)
        #expect(driver.state("u1") == "open:a1")
    }

    @Test("the assigned agent or an administrator closes, a waiting one any agent; closing again answers the same")
    func closing() throws {
        var driver = try opened()
        #expect(throws: PresenceError.notTheirConversation) { try driver.close("u1", by: "a2") }
        let answer = try driver.close("u1", by: "a1")
        #expect(answer?.state == .closed)
        #expect(answer?.decision?.kind == .closed)
        #expect(answer?.decision?.formerAgentID == "a1")
        #expect(answer?.decision?.seq == driver.seq)
        #expect(answer?.reason == "closed_by")
        #expect(try driver.close("u1", by: "a2") == answer)
        try driver.log("u1")
        #expect(driver.table.conversation("c:u1") == nil)
        #expect(try driver.close("u1", by: "a1")?.state == .closed)
        #expect(driver.table.conversation("c:u1") == nil)
        for agent in ["a1", "a2"] { driver.setStatus(.away, of: agent) }
        try driver.write("u2")
        #expect(try driver.close("u2", by: "a2")?.state == .closed)
        #expect(driver.waiting.isEmpty)
    }

    @Test("what presence never routed is unknown; a closed one is opened by a message alone")
    func unknown() throws {
        var driver = try opened()
        #expect(throws: PresenceError.unknownConversation) { try driver.close("u9", by: "a1", isAdmin: true) }
        #expect(throws: PresenceError.unknownConversation) { try driver.perform(.look(conversationID: "c:u9")) }
        try driver.close("u1", by: "a1")
        try driver.log("u1")
        #expect(throws: PresenceError.conversationClosed) {
            try driver.perform(.assign(driver.request("u1", by: "a1", to: "a1")))
        }
        #expect(throws: PresenceError.conversationClosed) {
            try driver.perform(.transfer(driver.request("u1", by: "a1", isAdmin: true)))
        }
        #expect(try driver.write("u1").state == .open)
        #expect(driver.decisions.map(\.number) == [1, 2, 3])
    }

    @Test("a message from before the last logged entry asks for nothing; one that the close had passed by reopens")
    func stale() throws {
        var driver = try opened()
        try driver.close("u1", by: "a1")
        try driver.log("u1")
        let closedAt = driver.seq
        #expect(try driver.write("u1", seq: closedAt - 1).state == .closed)
        #expect(try driver.write("u1", by: "a2", seq: closedAt - 1).state == .closed)
        // Asked for in the closed entry's own name.
        #expect(try driver.write("u1", seq: closedAt).state == .open)
    }

    @Test("a message that comes while the close is pending is looked at when its entry is logged")
    func closePending() throws {
        var driver = try opened()
        try driver.close("u1", by: "a1")
        let answer = try driver.write("u1", seq: 50)
        #expect(answer.state == .closed)
        #expect(answer.decision?.kind == .closed)
        driver.restart()
        driver.join("a2")
        driver.seq = 48
        try driver.log("u1")
        #expect(driver.state("u1") == "open:a2")

        var late = try opened()
        try late.close("u1", by: "a1")
        try late.write("u1", seq: 50)
        late.seq = 50
        try late.log("u1")
        #expect(late.state("u1") == "closed")
    }

    @Test("an agent's message while the transfer to the queue is pending takes it when that is logged")
    func wroteWhilePending() throws {
        var driver = try opened()
        try driver.perform(.transfer(driver.request("u1", by: "a1")))
        try driver.write("u1", by: "a1", seq: 40)
        try driver.write("u1", by: "a9", seq: 30)
        try driver.log("u1")
        #expect(driver.state("u1") == "open:a1")
        #expect(driver.history("u1").last == "assigned:agent_wrote")
    }

    @Test("a report is taken once; one for another decision, or an unknown conversation, changes nothing")
    func reports() throws {
        var driver = try opened()
        let first = try #require(driver.decisions.first)
        try driver.close("u1", by: "a1")
        try driver.perform(.logged(decisionID: first.decisionID, .init(conversationID: "c:u1", seq: 99)))
        try driver.perform(.logged(decisionID: "r-none", .init(conversationID: "c:u7", seq: 99)))
        #expect(driver.table.conversation("c:u1")?.pending?.kind == .closed)
        #expect(driver.load("a1") == 1)
    }
}
