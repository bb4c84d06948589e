import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

/// DESIGN §4, invariant 3, with real sockets: whichever gateways members are on.
@Suite("Several gateways", .timeLimit(.minutes(5)))
struct GatewayClusterTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func chats(_ range: ClosedRange<Int>) -> [String] { range.map { "Chat \($0)" } }

    /// Waits until presence knows a device at each of these gateways, and its heads were read for the second time: from
    /// here on hints alone bring what others commit.
    private func settle(_ nodes: GatewayNode..., at presence: PresenceStub) async throws {
        try #require(
            await eventually {
                nodes.allSatisfy {
                    !presence.users(of: $0.id).isEmpty && $0.metric("gateway_head_reads_total") >= 2
                }
            }
        )
    }

    @Test("an entry reaches every device of every member, in order and once; the sender's own gets the Ack")
    func everywhere() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 3)
        let customer = try await cluster.nodes[0].device("u1")
        let phone = try await cluster.nodes[1].device("u1")
        let agents = [try await cluster.nodes[1].device("a1"), try await cluster.nodes[2].device("a1")]
        for number in 1...5 {
            try await customer.write("k\(number)", to: "a1")
            #expect(try await customer.frames(upTo: "Ack \(number)").last == "Ack \(number)")
        }
        for device in agents + [phone] { #expect(try await device.frames(upTo: "Chat 5") == chats(1...5)) }
        // The other way, from a gateway that has read the conversation from the log only.
        try await agents[1].write("k6", to: "u1")
        #expect(try await agents[1].frames(upTo: "Ack 6") == ["Ack 6"])
        for device in [customer, phone, agents[0]] { #expect(try await device.frames(upTo: "Chat 6") == ["Chat 6"]) }
        for device in [customer, phone] + agents { #expect(try await device.framesSoFar().isEmpty) }
        await cluster.close()
    }

    @Test("what is told with its text is not read; what is told again is, once for all devices that need it")
    func sharedRead() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        var agents: [Device] = []
        for _ in 0..<4 { agents.append(try await cluster.nodes[1].device("a1")) }
        try await customer.write("k1", to: "a1")
        for agent in agents { _ = try await agent.frames(upTo: "Chat 1") }
        // Some find an entry by reading heads, having just come.
        func reads() -> Int { cluster.nodes[1].log.readCount }
        var before = reads()
        for number in 2...11 {
            try await customer.write("k\(number)", to: "a1")
            for agent in agents { #expect(try await agent.frames(upTo: "Chat \(number)") == ["Chat \(number)"]) }
        }
        #expect(reads() - before < 10)
        #expect(cluster.nodes[0].metric("gateway_hints_sent_total") > 4)
        before = reads()
        for number in 12...16 {
            cluster.nodes[1].setDeaf(true)
            try await customer.write("k\(number)", to: "a1")
            #expect(await eventually { cluster.nodes[1].refusedHints > 0 })
            cluster.nodes[1].setDeaf(false)
            for agent in agents { #expect(try await agent.frames(upTo: "Chat \(number)") == ["Chat \(number)"]) }
        }
        // Each by itself they would have read twenty times.
        #expect(reads() - before < 15)
        #expect(cluster.nodes[1].metric("gateway_hint_reads_total") > 2)
        await cluster.close()
    }

    @Test("receipts and typing reach members elsewhere")
    func ephemeral() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[1].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[1], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        try await agent.send(#"{"type":"Read","conversation_id":"c:u1","seq":1}"#)
        #expect(try await customer.frames(upTo: "Read 1").last == "Read 1")
        try await customer.send(#"{"type":"Typing","conversation_id":"c:u1","is_typing":true}"#)
        #expect(try await agent.frame("Typing")["user_id"] == "u1")
        await cluster.close()
    }

    @Test("a gateway that does not answer is told until it does")
    func retried() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[1].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[1], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        cluster.nodes[1].setDeaf(true)
        for number in 2...4 { try await customer.write("k\(number)", to: "a1") }
        _ = try await customer.frames(upTo: "Ack 4")
        #expect(await eventually { cluster.nodes[0].metric("gateway_hints_pending") >= 0 })
        #expect(try await agent.framesSoFar().isEmpty)
        cluster.nodes[1].setDeaf(false)
        #expect(try await agent.frames(upTo: "Chat 4") == chats(2...4))
        await cluster.close()
    }

    @Test("while presence is away those who were located are told, and all others once it is back")
    func presenceAway() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[1].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[1], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        cluster.presence.set { $0.isAway = true }
        for number in 2...4 {
            try await customer.write("k\(number)", to: "a1")
            #expect(try await agent.frames(upTo: "Chat \(number)") == ["Chat \(number)"])
        }
        // Presence has not heard of this one, and nobody can find it.
        let late = try await cluster.nodes[1].device("u1")
        _ = try await late.frames(upTo: "Chat 4")
        try await customer.write("k5", to: "a1")
        #expect(try await agent.frames(upTo: "Chat 5") == ["Chat 5"])
        cluster.presence.set {
            $0.world.restart()
            $0.isAway = false
        }
        #expect(try await late.frames(upTo: "Chat 5") == ["Chat 5"])
        await cluster.close()
    }

    @Test("a repeat at another gateway tells those whom a crash has left untold, once (R1)")
    func repeatedElsewhere() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 3)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[2].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[2], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        cluster.nodes[0].cut()
        try await customer.write("k2", to: "a1")
        #expect(try await eventually { try await cluster.log.head("c:u1") == 2 })
        #expect(try await agent.framesSoFar().isEmpty)
        let again = try await cluster.nodes[1].device("u1")
        try await again.write("k2", to: "a1")
        #expect(try await again.frames(upTo: "Ack 2").last == "Ack 2")
        #expect(try await agent.frames(upTo: "Chat 2") == ["Chat 2"])
        #expect(try await agent.framesSoFar().isEmpty)
        await cluster.close()
    }

    @Test("what a gateway had committed and told nobody is found when it is heard to be lost (R6)")
    func lost() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[1].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[1], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        cluster.nodes[0].cut()
        try await customer.write("k2", to: "a1")
        #expect(try await eventually { try await cluster.log.head("c:u1") == 2 })
        cluster.presence.set { $0.cut = ["g0"] }
        #expect(try await agent.frames(upTo: "Chat 2") == ["Chat 2"])
        await cluster.close()
    }

    @Test("a stop tells the others first, and then ends the registration (R14)")
    func drained() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        let agent = try await cluster.nodes[1].device("a1")
        try await settle(cluster.nodes[0], cluster.nodes[1], at: cluster.presence)
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        cluster.nodes[1].setDeaf(true)
        try await customer.write("k2", to: "a1")
        _ = try await customer.frames(upTo: "Ack 2")
        async let stop: Void = cluster.nodes[0].drain()
        #expect(try await customer.socket.receiveClose().code == 1001)
        #expect(cluster.presence.knows("g0"), "the last heartbeat came before the last hint")
        cluster.nodes[1].setDeaf(false)
        #expect(try await agent.frames(upTo: "Chat 2") == ["Chat 2"])
        await stop
        #expect(await eventually { !cluster.presence.knows("g0") })
        await cluster.close()
    }

    @Test("one that has joined an agent's conversation is served, wherever the entry was appended")
    func assignedElsewhere() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        try await customer.write("k1")
        _ = try await customer.frames(upTo: "Ack 1")
        // Written to by an agent elsewhere, who thereby becomes a member.
        let agent = try await cluster.nodes[1].device("a1")
        try await agent.write("k2", to: "u1")
        #expect(try await customer.frames(upTo: "Chat 2") == ["Chat 2"])
        try await customer.write("k3")
        #expect(try await agent.frames(upTo: "Chat 3").last == "Chat 3")
        await cluster.close()
    }

    @Test("who serves a customer is known as well when an own read brings it, and no hint")
    func assignedReadAlone() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 2)
        let customer = try await cluster.nodes[0].device("u1")
        try await settle(cluster.nodes[0], at: cluster.presence)
        try await customer.write("k1")
        _ = try await customer.frames(upTo: "Ack 1")
        cluster.nodes[0].setDeaf(true)
        let assigned = RoutingDecision(
            decisionID: "r-1",
            number: 1,
            conversationID: "c:u1",
            kind: .assigned,
            agentID: "a1",
            reason: "least_loaded",
            at: .now()
        )
        cluster.nodes[1].append(assigned)
        #expect(try await eventually { try await cluster.log.head("c:u1") == 2 })
        #expect(await !cluster.nodes[0].serves("u1"))
        try await customer.write("k2")
        #expect(try await customer.frames(upTo: "Ack 3") == ["AgentAssigned 2", "Ack 3"])
        #expect(await eventually { await cluster.nodes[0].serves("u1") })
        await cluster.close()
    }

    @Test("alone nothing is looked up, told or read again")
    func alone() async throws {
        let cluster = try await GatewayCluster(directory.path, count: 1)
        let node = cluster.nodes[0]
        let customer = try await node.device("u1")
        let agent = try await node.device("a1")
        try #require(await eventually { cluster.presence.users(of: "g0") == ["u1", "a1"] })
        try await customer.write("k1", to: "a1")
        _ = try await agent.frames(upTo: "Chat 1")
        let reads = node.log.readCount
        for number in 2...20 {
            try await customer.write("k\(number)", to: "a1")
            _ = try await agent.frames(upTo: "Chat \(number)")
        }
        #expect(node.metric("gateway_locate_calls_total") == 0)
        #expect(node.metric("gateway_hints_sent_total") == 0)
        #expect(node.log.readCount == reads)
        await cluster.close()
    }
}
