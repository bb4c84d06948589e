import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

@Suite("Lists of conversations")
struct ConversationListTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func query(
        _ user: String,
        _ scope: ConversationQuery.Scope = .own,
        state: RoutingState? = nil,
        cursor: Int64? = nil,
        limit: Int = 100
    ) -> ConversationQuery {
        let userType = user.hasPrefix("a") ? UserType.agent : .customer
        return ConversationQuery(
            user: user,
            userType: userType,
            scope: scope,
            state: state,
            cursor: cursor,
            limit: limit
        )
    }

    private func names(_ bench: EngineBench, _ query: ConversationQuery) async throws -> [String] {
        try await bench.conversations(query).conversations.map(\.conversationID)
    }

    private func ask(_ user: String) -> Draft {
        Draft(conversationID: "c:\(user)", sender: user, addressee: nil)
    }

    /// Six customers and two pairs of agents: queued, open with two agents, closed and waiting again.
    private func bench() async throws -> EngineBench {
        let bench = try await EngineBench(directory.path)
        for user in 1...6 { try await bench.run([ask("u\(user)")]) }
        for (user, agent) in [(2, "a1"), (3, "a1"), (4, "a2"), (5, "a1"), (6, "a2")] {
            try await bench.run([.system(.assigned(agentID: agent), in: "c:u\(user)")])
        }
        try await bench.run([Draft(conversationID: "d:a1:a2", sender: "a1", addressee: "a2")])
        try await bench.run([.system(.closed(asked: 2), in: "c:u5"), .system(.closed(asked: 2), in: "c:u6")])
        try await bench.run([Draft(conversationID: "d:a0:a1", sender: "a1", addressee: "a0")])
        try await bench.run([ask("u6")])
        try await bench.run([.system(.transferred(agentID: nil), in: "c:u3")])
        // What changes no state does not move a conversation.
        try await bench.run([ask("u2"), Draft(conversationID: "c:u2", sender: "a1", addressee: "u2"), ask("u1")])
        return bench
    }

    @Test("show an agent their own, the one whose state changed last first", arguments: [true, false])
    func own(isReopened: Bool) async throws {
        let bench = try await bench()
        if isReopened { try await bench.reopen() }
        #expect(try await names(bench, query("a1")) == ["c:u3", "d:a0:a1", "c:u5", "d:a1:a2", "c:u2"])
        #expect(try await names(bench, query("a2")) == ["c:u6", "d:a1:a2", "c:u4"])
        #expect(try await names(bench, query("a0")) == ["d:a0:a1"])
        #expect(try await names(bench, query("a9")) == [])
        #expect(try await names(bench, query("a1", state: .open)) == ["d:a0:a1", "d:a1:a2", "c:u2"])
        #expect(try await names(bench, query("a1", state: .queued)) == ["c:u3"])
        #expect(try await names(bench, query("a1", state: .closed)) == ["c:u5"])
        #expect(try await names(bench, query("a2", state: .queued)) == ["c:u6"])
    }

    @Test("show an agent everyone's, and a customer their own whatever they ask for")
    func all() async throws {
        let bench = try await bench()
        #expect(try await names(bench, query("a9", .all)) == ["c:u3", "c:u6", "c:u5", "c:u4", "c:u2", "c:u1"])
        #expect(try await names(bench, query("a9", .all, state: .queued)) == ["c:u3", "c:u6", "c:u1"])
        #expect(try await names(bench, query("a9", .all, state: .open)) == ["c:u4", "c:u2"])
        #expect(try await names(bench, query("a9", .all, state: .closed)) == ["c:u5"])
        for scope in [ConversationQuery.Scope.own, .all] {
            #expect(try await names(bench, query("u2", scope)) == ["c:u2"])
            #expect(try await names(bench, query("u2", scope, state: .open)) == ["c:u2"])
            #expect(try await names(bench, query("u2", scope, state: .closed)) == [])
            #expect(try await names(bench, query("u9", scope)) == [])
        }
    }

    @Test("are paged without hole or repeat", arguments: 1...7)
    func pages(limit: Int) async throws {
        let bench = try await bench()
        for whole in [query("a1"), query("a9", .all), query("a9", .all, state: .queued), query("u2")] {
            let expected = try await names(bench, whole)
            var found: [String] = []
            var next = whole
            next.limit = limit
            while true {
                let page = try await bench.conversations(next)
                found += page.conversations.map(\.conversationID)
                #expect(page.conversations.count <= limit)
                guard let cursor = page.next else { break }
                #expect(page.conversations.count == limit)
                next.cursor = cursor
            }
            #expect(found == expected)
        }
        #expect(try await names(bench, query("a1", limit: 0)) == [])
        #expect(try await names(bench, query("a1", limit: -1)) == [])
        #expect(try await names(bench, query("a1", limit: .max)).count == 5)
    }

    @Test("a conversation's summary", arguments: [true, false])
    func summary(isIndexed: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        let first = Timestamp(milliseconds: 1_768_903_200_000)
        try await bench.run([
            Draft(addressee: nil, content: "one", time: first), .system(.assigned(agentID: "a1")),
            Draft(addressee: nil, content: "two", time: first), Draft(sender: "a1", addressee: "u1", time: first),
            Draft(addressee: nil, content: "three", time: first), .recall(3, time: first),
        ])
        if isIndexed { try bench.index() }
        try await bench.run([.system(.transferred(agentID: "a2"))])
        let agents = try #require(try await bench.conversation("c:u1", for: "a2"))
        #expect(agents.conversationID == "c:u1")
        #expect(agents.customerID == "u1")
        #expect(agents.agentID == "a2")
        #expect(agents.state == .open)
        #expect(agents.head == 7)
        #expect(agents.unread == 3)
        #expect(agents.lastMessage == #"{"seq":5,"# + (try await bench.text(5)))
        #expect(agents.updatedAt > first)
        try await bench.move(.read, "a2", 1)
        #expect(try await bench.conversation("c:u1", for: "a2")?.unread == 2)
        #expect(try await bench.conversation("c:u1", for: "u1")?.unread == 1)
        // A former agent's end with their membership; who never was a member has none.
        try await bench.run([Draft(addressee: nil)])
        #expect(try await bench.conversation("c:u1", for: "a1")?.unread == 2)
        #expect(try await bench.conversation("c:u1", for: "a2")?.unread == 3)
        #expect(try await bench.conversation("c:u1", for: "a9")?.unread == 0)
        #expect(try await bench.conversation("c:none", for: "a9") == nil)
        try await bench.run([Draft(conversationID: "d:a1:a2", sender: "a1", addressee: "a2")])
        let direct = try #require(try await bench.conversation("d:a1:a2", for: "a2"))
        #expect(direct.customerID == nil)
        #expect(direct.agentID == nil)
        #expect(direct.state == .open)
        #expect(direct.unread == 1)
    }

    @Test("unread and the last message are looked for among the newest entries only", arguments: [true, false])
    func spans(isIndexed: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        let (unread, message) = (ConversationSummary.unreadSpan, ConversationSummary.lastMessageSpan)
        try await bench.run((0..<unread + 5).map { _ in Draft() })
        if isIndexed { try bench.index() }
        #expect(try await bench.conversation("c:u1", for: "a1")?.unread == unread)
        try await bench.run((0..<message - 1).map { _ in .system(.assigned(agentID: "a1")) })
        #expect(try await bench.conversation("c:u1", for: "a1")?.lastMessage?.hasPrefix("{\"seq\":1005,") == true)
        #expect(try await bench.conversation("c:u1", for: "a1")?.unread == unread - message + 1)
        try await bench.run([.system(.assigned(agentID: "a1"))])
        #expect(try await bench.conversation("c:u1", for: "a1")?.lastMessage == nil)
        #expect(try await bench.conversation("c:u1", for: "u1")?.lastMessage == nil)
    }

    @Test("a page ends early when it has looked at many entries, after one conversation at least")
    func scanned() async throws {
        let bench = try await EngineBench(directory.path)
        for user in 0..<7 {
            let name = "c:u\(user)"
            let chats = (0..<9).map { _ in Draft(conversationID: name, sender: "u\(user)", addressee: nil) }
            try await bench.run([.system(.assigned(agentID: "a1"), in: name)] + chats)
        }
        for (entriesMax, count) in [(1, 1), (10, 1), (11, 2), (30, 3), (31, 4)] {
            var found: [String] = []
            var cursor: Int64?
            repeat {
                let page = try await bench.conversations(query("a1", cursor: cursor), entriesMax: entriesMax)
                #expect(page.conversations.count == count || page.next == nil)
                #expect(page.conversations.allSatisfy { $0.unread == 9 })
                found += page.conversations.map(\.conversationID)
                cursor = page.next
            } while cursor != nil
            #expect(found == (0..<7).reversed().map { "c:u\($0)" })
        }
    }
}
