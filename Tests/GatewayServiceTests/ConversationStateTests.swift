import Contracts
import Core
import Testing

@testable import GatewayService

@Suite("Membership and routing of a conversation, entry by entry")
struct ConversationStateTests {
    /// A conversation that is given entries.
    private struct Driver {
        var state: ConversationState
        var head = 0
        let name: String

        init(_ name: String = "c:u1") {
            self.name = name
            state = ConversationState(conversationID: name)
        }

        @discardableResult
        mutating func take(_ draft: Draft) -> ConversationState.Change {
            var draft = draft
            draft.conversationID = name
            head += 1
            return state.take(AppendBatch([draft]).appends[0], at: head)
        }

        /// A customer's `Chat`.
        @discardableResult
        mutating func ask(_ agent: String? = nil) -> ConversationState.Change { take(Draft(addressee: agent)) }

        @discardableResult
        mutating func write(_ agent: String) -> ConversationState.Change {
            take(Draft(sender: agent, addressee: "u1"))
        }

        @discardableResult
        mutating func decide(_ kind: EntryKind) -> ConversationState.Change { take(.system(kind)) }
    }

    private func need(_ sequence: Int, by user: String = "u1", agent: String? = nil) -> RoutingNeed {
        RoutingNeed(
            conversationID: "c:u1",
            sequence: sequence,
            requestedBy: user,
            requesterType: user.hasPrefix("a") ? .agent : .customer,
            agentID: agent
        )
    }

    @Test("a customer's first message makes them a member, and needs an agent once")
    func firstMessage() {
        var driver = Driver()
        let change = driver.ask()
        #expect(change.joined == ["u1"])
        #expect(change.audience == ["u1"])
        #expect(change.need == need(1))
        #expect(driver.state.routing == .queued)
        #expect(driver.ask("a1").need == nil)
        #expect(driver.state.need == need(1))
        driver.state.settleNeed()
        #expect(driver.state.routing == .queued)
        let later = driver.ask()
        #expect(later.isEmpty)
        #expect(later.audience == ["u1", "a1"])
    }

    @Test("whom a customer names is a member, and asked for first")
    func namedAgent() {
        var driver = Driver()
        let change = driver.ask("a1")
        #expect(change.joined == ["u1", "a1"])
        #expect(change.need == need(1, agent: "a1"))
        #expect(driver.state.agent == nil)
        #expect(driver.ask("a1").isEmpty)
    }

    @Test("an agent who writes first brings the customer in, and takes the conversation")
    func agentFirst() {
        var driver = Driver()
        let change = driver.take(Draft(sender: "a1", addressee: "u1"))
        #expect(change.joined == ["u1", "a1"])
        #expect(change.need == need(1, by: "a1"))
        #expect(driver.ask().need == nil)
    }

    @Test("an agent's need takes the place of a customer's, also of one who is queued; not that of an agent")
    func agentReplaces() {
        var driver = Driver()
        driver.ask()
        let change = driver.write("a1")
        #expect(change.isNeedDropped)
        #expect(change.need == need(2, by: "a1"))
        #expect(driver.write("a2").need == nil)
        driver.state.settleNeed()
        let queued = driver.write("a2")
        #expect(!queued.isNeedDropped)
        #expect(queued.need == need(4, by: "a2"))
        #expect(queued.extent == .nothing)
    }

    @Test("a decision's agent joins, and what was asked is done with")
    func assigned() {
        var driver = Driver()
        driver.ask()
        let change = driver.decide(.assigned(agentID: "a1"))
        #expect(change.joined == ["a1"])
        #expect(change.audience == ["u1", "a1"])
        #expect(change.isNeedDropped && change.need == nil)
        #expect(change.extent == .place)
        #expect(driver.state.agent == "a1")
        #expect(driver.state.isRouted)
        #expect(driver.state.routing == .open)
        #expect(driver.ask().isEmpty)
    }

    @Test("the assigned agent's first message is noted, once for each assignment, and nobody else's")
    func answered() {
        var driver = Driver()
        driver.write("a1")
        driver.decide(.assigned(agentID: "a1"))
        #expect(driver.ask().answeredBy == nil)
        #expect(driver.write("a2").answeredBy == nil)
        #expect(driver.take(.recall(1, by: "a1")).answeredBy == nil)
        #expect(driver.write("a1").answeredBy == "a1")
        #expect(driver.write("a1").answeredBy == nil)
        driver.decide(.transferred(agentID: "a2"))
        #expect(driver.write("a1").answeredBy == nil)
        #expect(driver.write("a2").answeredBy == "a2")
        driver.decide(.closed(asked: 20))
        driver.decide(.assigned(agentID: "a2"))
        #expect(driver.write("a2").answeredBy == "a2")
    }

    @Test("a transfer ends the former agent's membership with its entry, and nobody else's")
    func transferred() {
        var driver = Driver()
        driver.ask("a3")
        driver.decide(.assigned(agentID: "a1"))
        let change = driver.decide(.transferred(agentID: "a2"))
        #expect(change.ended == ["a1"])
        #expect(change.joined == ["a2"])
        #expect(change.audience.sorted() == ["a1", "a2", "a3", "u1"])
        #expect(driver.state.members == ["u1", "a3", "a2"])
        #expect(driver.ask().audience == ["u1", "a3", "a2"])
        let back = driver.decide(.transferred(agentID: nil))
        #expect(back.ended == ["a2"])
        #expect(back.audience.sorted() == ["a2", "a3", "u1"])
        #expect(driver.state.agent == nil)
        #expect(driver.state.lastAgent == "a2")
        #expect(driver.state.routing == .queued)
        // Presence's queue has it: the customer asks for nothing.
        #expect(driver.ask().isEmpty)
        let same = driver.decide(.assigned(agentID: "a1"))
        #expect(same.joined == ["a1"])
        #expect(driver.decide(.transferred(agentID: "a1")).ended == [])
    }

    @Test("an assignment over another agent's is a transfer")
    func assignedTwice() {
        var driver = Driver()
        driver.ask()
        driver.decide(.assigned(agentID: "a1"))
        let change = driver.decide(.assigned(agentID: "a2"))
        #expect(change.ended == ["a1"])
        #expect(driver.state.members == ["u1", "a2"])
        #expect(driver.state.agent == "a2")
    }

    @Test("closing ends every agent's membership; who comes later starts behind it")
    func closed() {
        var driver = Driver()
        driver.ask("a3")
        driver.decide(.assigned(agentID: "a1"))
        let change = driver.decide(.closed(asked: 2))
        #expect(change.ended.sorted() == ["a1", "a3"])
        #expect(change.audience.sorted() == ["a1", "a3", "u1"])
        #expect(change.need == nil)
        #expect(driver.state.members == ["u1"])
        #expect(driver.state.closedAt == 3)
        #expect(driver.state.routing == .closed)
        #expect(driver.state.lastAgent == "a1")
        let again = driver.ask("a2")
        #expect(again.joined == ["a2"])
        #expect(again.start == 3)
        #expect(again.need == need(4, agent: "a2"))
        #expect(again.extent == .place)
    }

    @Test("what a customer wrote past what the closing agent knew asks for an agent again", arguments: [1, 2, 3])
    func overtaken(asked: Int) {
        var driver = Driver()
        driver.ask()
        driver.decide(.assigned(agentID: "a1"))
        driver.ask("a9")
        let change = driver.decide(.closed(asked: asked))
        #expect(change.need == (asked < 3 ? need(4) : nil))
        #expect(driver.state.routing == (asked < 3 ? .queued : .closed))
        #expect(driver.state.closedAt == 4)
    }

    @Test("what an agent wrote past it does not")
    func overtakenByAgent() {
        var driver = Driver()
        driver.ask()
        driver.decide(.assigned(agentID: "a1"))
        driver.write("a1")
        #expect(driver.decide(.closed(asked: 2)).need == nil)
    }

    @Test("a decision that does not fit is taken as it is")
    func unfitting() {
        var driver = Driver()
        #expect(driver.decide(.closed(asked: 0)).audience == ["u1"])
        #expect(driver.decide(.transferred(agentID: "a1")).joined == ["a1"])
        #expect(driver.decide(.closed(asked: 2)).ended == ["a1"])
        #expect(driver.decide(.closed(asked: 3)).ended == [])
        #expect(driver.state.closedAt == 4)
    }

    @Test("two agents stay members and are routed nowhere")
    func direct() {
        var driver = Driver("d:a1:a2")
        let change = driver.take(Draft(sender: "a1", addressee: "a2"))
        #expect(change.joined == ["a1", "a2"])
        #expect(change.need == nil)
        #expect(driver.state.routing == .open)
        #expect(driver.take(Draft(sender: "a2", addressee: "a1")).isEmpty)
        #expect(driver.decide(.closed(asked: 0)).ended == [])
    }
}
