import Contracts
import Core
import HTTP
import TestSupport
import Testing

@testable import GatewayService

@Suite("Reads that auth is to be told of: the queue")
struct AuditQueueTests {
    private func entry(_ id: Int, _ agentID: String, _ customerID: String, at time: Int64 = 0) -> AuditReport.Entry {
        AuditReport.Entry(
            id: "\(id)",
            at: Timestamp(milliseconds: time),
            event: .conversationRead,
            actorID: agentID,
            conversationID: "c:\(customerID)",
            remoteAddress: "192.0.2.7"
        )
    }

    private func ids(_ queue: AuditQueue) -> [String] { queue.next()?.entries.map(\.id) ?? [] }

    @Test("one for an agent, a conversation and a minute")
    func coalesced() {
        var queue = AuditQueue()
        _ = queue.add(entry(1, "a1", "u1", at: 60_000))
        _ = queue.add(entry(2, "a1", "u1", at: 119_999))
        _ = queue.add(entry(3, "a2", "u1", at: 119_999))
        _ = queue.add(entry(4, "a1", "u2", at: 119_999))
        _ = queue.add(entry(5, "a1", "u1", at: 120_000))
        #expect(ids(queue) == ["1", "3", "4", "5"])
    }

    @Test("a batch stays until it has ended, also when it was dropped meanwhile")
    func batches() throws {
        var queue = AuditQueue()
        #expect(queue.next() == nil)
        for number in 0..<AuditQueue.waitingMax { _ = queue.add(entry(number, "a", "u\(number)")) }
        let first = try #require(queue.next())
        #expect(first.entries.count == AuditReport.entriesMax)
        #expect(ids(queue) == first.entries.map(\.id))
        for number in 0..<10 { #expect(queue.add(entry(number, "b", "u\(number)")) == 1) }
        #expect(queue.count == AuditQueue.waitingMax)
        let ended = queue.end(first)
        #expect(ended == AuditReport.entriesMax - 10)
        #expect(queue.count == AuditQueue.waitingMax - AuditReport.entriesMax + 10)
        #expect(ids(queue).first == "\(AuditReport.entriesMax)")
        while let batch = queue.next() { queue.end(batch) }
        #expect(queue.count == 0)
        let endedAgain = queue.end(first)
        #expect(endedAgain == 0)
        _ = queue.add(entry(99, "c", "u"))
        #expect(ids(queue) == ["99"])
    }

    @Test("what is known of a minute is bounded: past it reads are told again, and none is lost")
    func readsBound() {
        var queue = AuditQueue()
        for number in 0..<AuditQueue.readsMax { _ = queue.add(entry(number, "a", "u\(number)")) }
        #expect(queue.add(entry(-1, "a", "u0")) == 1)
        #expect(queue.add(entry(-2, "a", "u0")) == 0)
    }
}

@Suite("Reads of conversations are told to auth", .timeLimit(.minutes(5)))
struct AuditLinkTests {
    private let directory: TemporaryDirectory
    private let fixture: GatewayFixture
    private var auth: SessionStub { fixture.auth }

    init() async throws {
        directory = try TemporaryDirectory()
        fixture = try await GatewayFixture(directory.path)
        await fixture.followSessions()
    }

    private var entries: [AuditReport.Entry] { auth.get { $0.reports.flatMap(\.entries) } }

    @Test("an agent's reads of customers' conversations, over REST and by frames; nobody else's, nothing else")
    func reads() async throws {
        auth.add("sa", of: "a1")
        auth.add("su", of: "u1")
        #expect(await fixture.messages("conversation_id=d:a1:a2", "sa").status == 200)
        #expect(await fixture.messages("conversation_id=c:u1", "su").status == 200)
        #expect(await fixture.messages("conversation_id=c:u2", "su").status == 404)
        for _ in 0..<3 { #expect(await fixture.messages("conversation_id=c:u1&limit=1", "sa").status == 200) }
        let agent = try await fixture.open("sa")
        try await agent.send(#"{"type":"HistoryRequest","conversation_id":"d:a1:a2"}"#)
        try await agent.send(#"{"type":"HistoryRequest","conversation_id":"c:u2"}"#)
        #expect(try await agent.frames(upTo: "History") == ["History"])
        #expect(try await agent.frames(upTo: "History") == ["History"])
        await fixture.audit.flush(within: .seconds(30))
        let entries = entries
        // The three may lie in two minutes.
        #expect(Set(entries.map { "\($0.actorID) \($0.conversationID)" }) == ["a1 c:u1", "a1 c:u2"])
        #expect(entries.count < 4)
        #expect(entries.first?.remoteAddress == "192.0.2.7" && entries.first?.requestID == "r7")
        #expect(entries.last?.remoteAddress == "127.0.0.1" && entries.last?.requestID == nil)
        await fixture.close()
    }

    @Test("what auth does not take is told again until it does, once; a stop does not wait for ever")
    func away() async throws {
        auth.set { $0.isAway = true }
        let agent = Identity(userID: "a1", userName: "A", userType: .agent)
        for customer in 0..<1200 { fixture.audit.read("c:u\(customer)", by: agent, from: "192.0.2.7") }
        #expect(await eventually { auth.get { $0.reportsRefused } >= 2 })
        await fixture.audit.flush(within: .milliseconds(1))
        #expect(entries.isEmpty)
        auth.set { $0.isAway = false }
        await fixture.audit.flush(within: .seconds(30))
        #expect(entries.map(\.conversationID) == (0..<1200).map { "c:u\($0)" })
        #expect(Set(entries.map(\.id)).count == 1200)
        #expect(auth.get { $0.reports.allSatisfy { $0.entries.count <= AuditReport.entriesMax } })
        await fixture.close()
    }

    @Test("what is dropped is counted: the oldest of too many, and what auth refuses")
    func dropped() async throws {
        auth.set { $0.isAway = true }
        let agent = Identity(userID: "a1", userName: "A", userType: .agent)
        let time = Timestamp(milliseconds: 0)
        for customer in 0..<AuditQueue.waitingMax + 7 {
            fixture.audit.read("c:u\(customer)", by: agent, from: "192.0.2.7", at: time)
        }
        #expect(fixture.metric("gateway_audit_dropped_total") == 7)
        auth.set { state in
            state.isAway = false
            state.refusesReports = true
        }
        await fixture.audit.flush(within: .seconds(30))
        #expect(fixture.metric("gateway_audit_dropped_total") == AuditQueue.waitingMax + 7)
        auth.set { $0.refusesReports = false }
        fixture.audit.read("c:u1", by: agent, from: "192.0.2.7", at: time.advanced(byMilliseconds: 60_000))
        await fixture.audit.flush(within: .seconds(30))
        #expect(entries.map(\.conversationID) == ["c:u1"])
        await fixture.close()
    }
}
