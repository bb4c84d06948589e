import Contracts
import Core
import Net
import TestSupport
import Testing

@testable import GatewayService

/// The rules of DESIGN §4 where several parts keep them together: sockets, hub, log, outbox, with crashes in between.
@Suite("A gateway's rules: what a crash leaves is made good", .timeLimit(.minutes(5)))
struct GatewayRulesTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func decision(
        _ number: Int,
        _ kind: RoutingDecision.Kind = .assigned,
        agentID: String? = "a1"
    ) -> RoutingDecision {
        RoutingDecision(
            decisionID: "r-\(number)",
            number: number,
            conversationID: "c:u1",
            kind: kind,
            agentID: agentID,
            reason: "least_loaded",
            at: .now()
        )
    }

    @Test("a repeat tells the others of an entry that they were never told of (R1)")
    func repeatedAfterCrash() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let support = try await fixture.device("a1")
        _ = try await support.frames(upTo: "Welcome")
        let first = try await fixture.device("u1")
        try await first.write("k1", to: "a1")
        _ = try await first.frames(upTo: "Ack 1")
        _ = try await support.frames(upTo: "Chat 1")
        let commits = fixture.commitCount
        fixture.setWay(.cut)
        try await first.write("k2", to: "a1")
        #expect(try await eventually { try await fixture.entries(of: "c:u1").count == 2 })
        #expect(await eventually { fixture.commitCount > commits })
        fixture.setWay(.open)
        #expect(try await support.framesSoFar() == [])
        let second = try await fixture.device("u1")
        try await second.write("k2", to: "a1")
        _ = try await second.frames(upTo: "Ack 2")
        #expect(try await support.frames(upTo: "Chat 2") == ["Chat 2"])
        #expect(try await fixture.entries(of: "c:u1").count == 2)
        await fixture.close()
    }

    @Test("an Ack waits for its place, a retry's too, before Sync and after (R7)")
    func acknowledgementPlaces() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let first = try await fixture.device("u1")
        for number in 1...2 {
            try await first.write("k\(number)")
            _ = try await first.frames(upTo: "Ack \(number)")
        }
        let second = try await fixture.device("u1", awaitsSync: true)
        try await second.write("k1")
        try await second.write("k3")
        _ = try await first.frames(upTo: "Chat 3")
        #expect(try await second.framesSoFar() == ["Welcome"])
        try await second.sync("c:u1", 0)
        #expect(try await second.frames(upTo: "Synced") == ["Ack 1", "Chat 2", "Ack 3", "Synced"])
        try await second.write("k1")
        #expect(try await second.frames(upTo: "Ack 1") == ["Ack 1"])

        let third = try await fixture.device("u1", awaitsSync: true)
        let commits = fixture.commitCount
        try await third.write("k3")
        #expect(await eventually { fixture.commitCount > commits })
        #expect(try await third.framesSoFar() == ["Welcome"])
        try await third.sync("c:u1", 3)
        #expect(try await third.frames(upTo: "Synced") == ["Ack 3", "Synced"])
        await fixture.close()
    }

    @Test("an entry that was read before its commit was told waits for its Ack (R7)")
    func passedPlace() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let device = try await fixture.device("u1", awaitsSync: true)
        fixture.setWay(.held)
        try await device.write("k1")
        #expect(try await eventually { try await fixture.entries(of: "c:u1").count == 1 })
        try await device.sync("c:u1", 0)
        #expect(try await device.frames(upTo: "Welcome") == ["Welcome"])
        fixture.setWay(.open)
        #expect(try await device.frames(upTo: "Synced") == ["Ack 1", "Synced"])
        await fixture.close()
    }

    @Test("a stop sends the Acks whose places do not come any more (R7, R14)")
    func drained() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let other = try await fixture.device("u1")
        let device = try await fixture.device("u1", awaitsSync: true)
        try await device.write("k1")
        _ = try await other.frames(upTo: "Chat 1")
        async let end: Void = fixture.drain()
        #expect(try await device.frames(upTo: "Ack 1") == ["Welcome", "Ack 1"])
        for one in [device, other] {
            #expect(try await one.socket.receiveClose().code == 1001)
            try await one.socket.send(SocketClient.close(1001))
        }
        await end
        await fixture.close()
    }

    @Test("a decision offered again and again is one entry, and each offer is reported, after a crash too (R9)")
    func decisionOffered() async throws {
        var fixture = try await GatewayFixture(directory.path)
        let peers = fixture.peers
        for round in 1...2 {
            fixture.outbox.append([decision(1)])
            let reports = Array(repeating: "logged r-1 1", count: round)
            #expect(await eventually { peers.answered == reports })
        }
        // The gateway dies between the entry and the report of it.
        fixture.setWay(.cut)
        fixture.outbox.append([decision(2, .closed, agentID: nil)])
        #expect(try await eventually { try await fixture.entries(of: "c:u1").count == 2 })
        await fixture.close()
        fixture = try await GatewayFixture(directory.path, peers)
        fixture.outbox.append([decision(2, .closed, agentID: nil)])
        #expect(await eventually { peers.answered.last == "logged r-2 2" })
        #expect(try await fixture.entries(of: "c:u1") == ["AgentAssigned", "ConversationClosed"])
        #expect(peers.answered.count == 3)
        await fixture.close()
    }

    @Test("a decision's report overtakes what waits for presence, so that it is not offered for long (R9)")
    func reportsFirst() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let peers = fixture.peers
        peers.set { $0.isHeld = true }
        let device = try await fixture.device("u1")
        try await device.write("k1")
        #expect(await eventually { peers.asked == ["route c:u1 1"] })
        fixture.outbox.enqueue([
            OutboxItem(number: 1000, work: .answered(conversationID: "c:u1", agentID: "a9", sequence: 7))
        ])
        // What is offered while its report waits is one report.
        fixture.outbox.append([decision(1)])
        _ = try await device.frames(upTo: "AgentAssigned 2")
        fixture.outbox.append([decision(1)])
        try await device.write("k2")
        _ = try await device.frames(upTo: "Ack 3")
        peers.set { $0.isHeld = false }
        #expect(await eventually { peers.answered.count == 3 })
        #expect(peers.answered == ["route c:u1 1", "logged r-1 2", "answered a9 7"])
        await fixture.close()
    }

    @Test("what was decided by hand and could not be stored is refused, and reported by nobody (R8, R9)")
    func decisionNotStored() async throws {
        var fixture = try await GatewayFixture(directory.path)
        let peers = fixture.peers
        peers.set { $0.decision = decision(1, .closed, agentID: nil) }
        let request = RoutingRequest(conversationID: "c:u1", requestedBy: "a1", isAdmin: false, seq: 0)
        await fixture.closeLog()
        let outbox = fixture.outbox
        await #expect(throws: Problem.self) { try await outbox.decide(.close, request, requestID: nil) }
        await fixture.close()
        fixture = try await GatewayFixture(directory.path, peers)
        try await fixture.outbox.decide(.close, request, requestID: nil)
        #expect(try await fixture.entries(of: "c:u1") == ["ConversationClosed"])
        #expect(await eventually { peers.answered.count == 3 })
        #expect(peers.answered == ["close c:u1", "close c:u1", "logged r-1 1"])
        await fixture.close()
    }

    @Test("a message's request for an agent outlives a crash, and is asked until it is answered (R10)")
    func unroutedAfterCrash() async throws {
        let peers = PeerStub()
        peers.set { $0.isAway = true }
        var fixture = try await GatewayFixture(directory.path, peers)
        let first = try await fixture.device("u1")
        try await first.write("k1")
        _ = try await first.frames(upTo: "Ack 1")
        #expect(await eventually { peers.asked.contains("route c:u1 1") })
        // Refused again by a later reading of the outbox: by then nothing has settled it.
        let asked = peers.asked.count
        #expect(await eventually { peers.asked.count > asked + 3 })
        #expect(try await fixture.due().count == 1)
        // Another one's is stored, and the gateway dies before it asks.
        let second = try await fixture.device("u2")
        fixture.setWay(.cut)
        try await second.write("k1")
        #expect(try await eventually { try await fixture.entries(of: "c:u2").count == 1 })
        await fixture.close()

        peers.set { $0 = .init() }
        fixture = try await GatewayFixture(directory.path, peers)
        #expect(await eventually { Set(peers.answered) == ["route c:u1 1", "route c:u2 1"] })
        #expect(try await eventually { try await fixture.due().isEmpty })
        await fixture.close()
    }

    @Test("the decision that answers a request becomes an entry and is told (R9, R10)")
    func answeredByDecision() async throws {
        let fixture = try await GatewayFixture(directory.path)
        fixture.peers.set { $0.decision = decision(1) }
        let support = try await fixture.device("a1")
        let device = try await fixture.device("u1")
        for one in [support, device] { _ = try await one.frames(upTo: "Welcome") }
        try await device.write("k1")
        #expect(try await device.frames(upTo: "AgentAssigned 2") == ["Ack 1", "AgentAssigned 2"])
        // The agent joins by it, and gets what came since the conversation was opened.
        #expect(try await support.frames(upTo: "AgentAssigned 2") == ["Chat 1", "AgentAssigned 2"])
        #expect(await eventually { fixture.peers.answered.contains("logged r-1 2") })
        try await support.write("k1", to: "u1")
        #expect(try await support.frames(upTo: "Ack 3") == ["Ack 3"])
        #expect(await eventually { fixture.peers.answered.contains("answered a1 3") })
        #expect(try await eventually { try await fixture.due().isEmpty })
        await fixture.close()
    }

    @Test("the grants of a recalled file are taken back until files has answered, after a crash too (R13)")
    func revokedAfterCrash() async throws {
        let peers = PeerStub()
        peers.set { $0.isAway = true }
        var fixture = try await GatewayFixture(directory.path, peers)
        fixture.setWay(.cut)
        fixture.log.append(Handover(AppendBatch([Draft(clientID: "k1", fileID: "f1"), .recall(1)])))
        #expect(try await eventually { try await fixture.due().count == 2 })
        await fixture.close()
        fixture = try await GatewayFixture(directory.path, peers)
        let revoke = "revoke f1 of c:u1 u1 k1"
        #expect(await eventually { peers.asked.count { $0 == revoke } > 3 })
        #expect(try await fixture.due().count == 2)
        peers.set { $0.isAway = false }
        #expect(try await eventually { try await fixture.due().isEmpty })
        #expect(peers.answered.contains(revoke))
        await fixture.close()
    }
}
