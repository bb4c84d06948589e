import Contracts
import Core
import Storage
import TestSupport
import Testing

@testable import PresenceService

@Suite("Routing store")
struct RoutingStoreTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.file("presence.sqlite") }

    init() throws { directory = try TemporaryDirectory() }

    private func decision(_ number: Int, of customerID: String = "u1") -> RoutingDecision {
        RoutingDecision(
            decisionID: "r-\(customerID)-\(number)",
            number: number,
            conversationID: "c:\(customerID)",
            kind: .transferred,
            agentID: "a2",
            formerAgentID: "a1",
            position: 3,
            reason: "transferred_by",
            requestedBy: "a1",
            note: "说",
            seq: 9,
            at: Timestamp(milliseconds: 5)
        )
    }

    private func full() -> RoutedConversation {
        var row = RoutedConversation(conversationID: "c:u1", customerID: "u1")
        row.state = .queued
        row.agentID = "a1"
        row.lastAgentID = "a2"
        row.namedAgentID = "a3"
        row.avoidedAgentID = "a4"
        row.isRequeued = true
        row.ticket = 7
        row.queuedAt = Timestamp(milliseconds: 1234)
        row.reason = "agent_lost"
        row.decisionNumber = 2
        row.pending = decision(2)
        row.loggedSeq = 41
        row.isAwaitingResponse = true
        row.need = .init(seq: 44, agentID: "a5", requestedBy: "u1", requesterType: .customer)
        return row
    }

    @Test("every member of a row comes back after a reopening, and so do its decisions, newest first")
    func reopening() async throws {
        let plain = RoutedConversation(conversationID: "c:u2", customerID: "u2")
        let file = try await PresenceSchema.open(path: path)
        try await SQLiteRoutingStore(file).store(
            RoutingEffects(conversations: [full(), plain], decisions: [decision(1), decision(2)])
        )
        await file.close()
        let again = try await PresenceSchema.open(path: path)
        let store = SQLiteRoutingStore(again)
        #expect(try await store.liveConversations() == [full()])
        #expect(try await store.conversations(["c:u2", "c:u1", "c:u9"]) == [plain, full()])
        #expect(try await store.decisions(of: "c:u1", limit: 9) == [decision(2), decision(1)])
        #expect(try await store.decisions(of: "c:u1", limit: 1) == [decision(2)])
        #expect(try await store.decisions(of: "c:u9", limit: 9) == [])
        await again.close()
    }

    @Test("a closed conversation is loaded at the start only while its decision is pending")
    func live() async throws {
        let file = try await PresenceSchema.open(path: path)
        let store = SQLiteRoutingStore(file)
        var row = RoutedConversation(conversationID: "c:u1", customerID: "u1")
        row.decisionNumber = 2
        row.pending = decision(2)
        try await store.store(RoutingEffects(conversations: [row], decisions: [decision(1), decision(2)]))
        #expect(try await store.liveConversations() == [row])
        row.pending = nil
        try await store.store(RoutingEffects(conversations: [row]))
        #expect(try await store.liveConversations() == [])
        #expect(try await store.conversations(["c:u1"]) == [row])
        await file.close()
    }

    @Test("the effects of a group are stored together or not at all")
    func together() async throws {
        let file = try await PresenceSchema.open(path: path)
        let store = SQLiteRoutingStore(file)
        try await store.store(RoutingEffects(decisions: [decision(1)]))
        // The same number twice.
        await #expect(throws: SQLiteError.self) {
            try await store.store(RoutingEffects(conversations: [full()], decisions: [decision(2), decision(1)]))
        }
        #expect(try await store.liveConversations() == [])
        #expect(try await store.decisions(of: "c:u1", limit: 9) == [decision(1)])
        await file.close()
    }

    @Test("the newest 200 decisions of a conversation are kept, others' are left alone")
    func retention() async throws {
        let file = try await PresenceSchema.open(path: path)
        let store = SQLiteRoutingStore(file)
        try await store.store(RoutingEffects(decisions: [decision(1, of: "u2")]))
        try await store.store(RoutingEffects(decisions: (1...200).map { decision($0) }))
        #expect(try await store.decisions(of: "c:u1", limit: 999).count == 200)
        try await store.store(RoutingEffects(decisions: (201...203).map { decision($0) }))
        #expect(try await store.decisions(of: "c:u1", limit: 999).map(\.number) == Array((4...203).reversed()))
        #expect(try await store.decisions(of: "c:u2", limit: 999).count == 1)
        await file.close()
    }

    @Test("a file of the version before routing is brought up, its statuses kept")
    func migration() async throws {
        let old = try await StoreEngine.open(path, migrations: Array(PresenceSchema.migrations.prefix(1)))
        try await SQLiteStatusStore(old).save(.busy, of: "a1")
        await old.close()
        let file = try await PresenceSchema.open(path: path)
        #expect(try await SQLiteStatusStore(file).statuses() == ["a1": .busy])
        #expect(try await SQLiteRoutingStore(file).liveConversations() == [])
        // A copy is worth nothing without the history, which is on the disk.
        let expected: Int64 = StoreEngine.isRedis ? 0 : 2
        #expect(try await file.withConnection { try $0.pragma("synchronous") } == expected)
        await file.close()
    }
}
