import Contracts
import Core
import Storage
import TestSupport
import Testing

@testable import GatewayService

@Suite("Members, positions and texts that the log completes")
struct LogMembershipTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func write(_ agent: String) -> Draft { Draft(sender: agent, addressee: "u1") }

    @Test("an entry goes to the members before and after it")
    func audience() async throws {
        let bench = try await EngineBench(directory.path)
        let committed = try await bench.run([
            Draft(addressee: nil), .system(.assigned(agentID: "a1")), Draft(addressee: nil), write("a2"),
            .system(.transferred(agentID: "a3")), write("a2"), .system(.closed(asked: 6)), Draft(addressee: nil),
        ])
        #expect(
            committed.audiences == [
                ["u1"], ["a1", "u1"], ["a1", "u1"], ["a1", "a2", "u1"], ["a1", "a2", "a3", "u1"], ["a2", "a3", "u1"],
                ["a2", "a3", "u1"], ["u1"],
            ]
        )
    }

    @Test("who is no member any more is owed what came before, and nothing behind it", arguments: [true, false])
    func owed(isReopened: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([
            Draft(addressee: nil), .system(.assigned(agentID: "a1")), write("a1"), .system(.transferred(agentID: "a2")),
            Draft(addressee: nil), write("a2"),
        ])
        if isReopened { try await bench.reopen() }
        #expect(try await bench.positions("a1") == ["c:u1": [0, 4]])
        #expect(try await bench.positions("a2") == ["c:u1": [0, 6]])
        // As far as their membership went, whatever they say.
        #expect(try await bench.move(.delivered, "a1", 6)?.delivered == 4)
        #expect(try await bench.positions("a1") == [:])
        #expect(try await bench.positions("a1", naming: ["c:u1", "c:none", "c:u1"]) == ["c:u1": [4, 4]])
        #expect(try await bench.position(of: "a1", in: "c:u1")?.head == 4)
        #expect(try await bench.position(of: "a1", in: "c:u1")?.hasEnded == true)
        #expect(try await bench.position(of: "a1", in: "c:u1")?.agentID == "a2")
        #expect(try await bench.positions("a9", naming: ["c:u1"]) == [:])
        #expect(try await bench.members(of: "c:u1").sorted() == ["a2", "u1"])
        #expect(try await bench.members(of: "c:none") == [])
    }

    @Test("who returns goes on where they were, but not before the last closed")
    func returning() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([Draft(addressee: nil), .system(.assigned(agentID: "a1")), write("a1")])
        try await bench.move(.read, "a1", 2)
        try await bench.run([.system(.transferred(agentID: "a2")), Draft(addressee: nil), write("a1")])
        #expect(try await bench.positions("a1") == ["c:u1": [2, 6]])
        #expect(try await bench.position(of: "a2", in: "c:u1")?.delivered == 0)
        // Where each began stays, however far they have come since.
        try await bench.move(.delivered, "a1", 5)
        let again = try await bench.position(of: "a1", in: "c:u1")
        #expect(again?.delivered == 5)
        #expect(again?.start == 2)
        #expect(again?.hasEnded == false)
        #expect(try await bench.position(of: "a2", in: "c:u1")?.start == 0)
        try await bench.run([.system(.closed(asked: 6)), Draft(addressee: "a3"), write("a1")])
        #expect(try await bench.positions("a1") == ["c:u1": [7, 9]])
        #expect(try await bench.positions("a3") == ["c:u1": [7, 9]])
        #expect(try await bench.positions("a2") == ["c:u1": [0, 7]])
        #expect(try await bench.positions("u1") == ["c:u1": [0, 9]])
    }

    @Test("a customer's message to nobody is to the agent assigned at that point", arguments: [true, false])
    func completedText(isOneBatch: Bool) async throws {
        let bench = try await EngineBench(directory.path)
        let drafts = [
            Draft(addressee: nil, clientID: "k1", content: "to_user_id"), .system(.assigned(agentID: "a1")),
            Draft(addressee: nil, clientID: "k2"), Draft(addressee: "a2", clientID: "k3"),
            .system(.transferred(agentID: nil)), Draft(addressee: nil, clientID: "k4"),
        ]
        if isOneBatch { try await bench.run(drafts) } else { for draft in drafts { try await bench.run([draft]) } }
        #expect(try await bench.text(1).hasSuffix(#","client_id":"k1","to_user_id":null}"#))
        #expect(try await bench.text(3).hasSuffix(#","client_id":"k2","to_user_id":"a1"}"#))
        #expect(try await bench.text(4).contains(#","to_user_id":"a2","content_type""#))
        #expect(try await bench.text(6).hasSuffix(#","client_id":"k4","to_user_id":null}"#))
        // Being the implicit addressee makes nobody a member.
        #expect(try await bench.members(of: "c:u1").sorted() == ["a2", "u1"])
        #expect(
            try await bench.run([Draft(addressee: nil, clientID: "k2")]).outcomes == [.repeated(3, content: "hello")]
        )
    }

    @Test("the completed text is what the batch delivers")
    func completedBatch() throws {
        let bench = try LogBench(directory.path)
        let batch = AppendBatch([.system(.assigned(agentID: "a1")), Draft(addressee: nil), Draft(addressee: nil)])
        try bench.connection.transaction {
            bench.entries.beginCommit()
            for index in batch.appends.indices { try bench.entries.append(batch, index) }
        }
        _ = bench.tail.add(bench.entries.endCommit([batch]))
        for (index, append) in batch.appends.enumerated() {
            #expect(String(decoding: batch.bytes.waiting[append.text], as: UTF8.self) == (try bench.text(index + 1)))
            let text = Array(batch.bytes.waiting[append.text])
            let acknowledged = try #require(StoredEntry.acknowledged(in: text))
            #expect(Array(batch.bytes.waiting[append.acknowledged]) == Array(text[acknowledged]))
        }
    }

    @Test("an agent with many past conversations is not sent through them at every connection")
    func pastConversations() throws {
        let bench = try LogBench(directory.path)
        func steps() throws -> Int {
            let before = try bench.reader.connection.statistics().map(\.steps).reduce(0, +)
            _ = try bench.reader.positions(of: "a1", naming: [])
            return try bench.reader.connection.statistics().map(\.steps).reduce(0, +) - before
        }
        try bench.run([Draft(conversationID: "c:now", sender: "now")])
        _ = try steps()
        let few = try steps()
        for past in 0..<400 {
            let name = "c:p\(past)"
            try bench.run([
                Draft(conversationID: name, sender: "p\(past)", addressee: nil),
                .system(.assigned(agentID: "a1"), in: name), .system(.closed(asked: 2), in: name),
            ])
            try bench.move(.delivered, "a1", 3, in: name)
        }
        #expect(try bench.positions("a1") == ["c:now": [0, 1]])
        #expect(try steps() <= 2 * few)
        let plan = try bench.reader.connection.statistics().map(\.sql).filter { $0.contains("member_owed") }
        #expect(plan.count == 1)
    }

    @Test("a file from before memberships ended is brought to the schema")
    func migrated() throws {
        let files = LogFiles(directory: directory.path)
        do {
            let old = try Connection(path: files.log)
            try Migrator(Array(LogSchema.logMigrations.prefix(1))).migrate(old)
            try old.execute(
                """
                INSERT INTO conversation VALUES (1, 'c:u1'), (2, 'd:a1:a2'), (3, 'c:u2');
                INSERT INTO member VALUES ('u1', 1, 1), ('a1', 1, 2), ('a1', 2, 0), ('a2', 2, 1), ('u2', 3, 0);
                """
            )
            for (row, name, sequence) in [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 1, 2)] {
                let draft = Draft(conversationID: name == 2 ? "d:a1:a2" : "c:u\(name == 1 ? 1 : 2)")
                let text = draft.text(messageID: "m\(row)")
                try old.run("INSERT INTO log VALUES (?, ?, ?, 0, ?)", row, name, sequence, text)
            }
        }
        let bench = try LogBench(directory.path)
        #expect(try bench.positions("a1") == ["c:u1": [2, 2], "d:a1:a2": [0, 1]])
        let all = ConversationQuery(user: "a9", userType: .agent, scope: .all, limit: 10)
        let listed = try bench.reader.conversations(all).conversations
        #expect(listed.map(\.conversationID) == ["c:u1", "c:u2"])
        #expect(listed.allSatisfy { $0.state == .closed && $0.agentID == nil })
        #expect(listed.map(\.customerID) == ["u1", "u2"])
        for agent in ["a1", "a2"] {
            let own = ConversationQuery(user: agent, userType: .agent, scope: .own, limit: 10)
            #expect(try bench.reader.conversations(own).conversations.map(\.conversationID) == ["d:a1:a2"])
        }
        #expect(try bench.reader.conversation("c:u1", for: "a1")?.unread == 0)
        let committed = try bench.run([Draft(addressee: nil)])
        #expect(committed.outcomes == [.appended(3)])
        #expect(committed.due.count == 1)
        #expect(committed.audiences == [["a1", "u1"]])
    }

    @Test("a message between known members is one run of one statement")
    func hotPath() throws {
        let bench = try LogBench(directory.path)
        try bench.run([
            Draft(addressee: nil, clientID: "k1"), .system(.assigned(agentID: "a1")),
            Draft(sender: "a1", addressee: "u1", clientID: "k1"),
        ])
        func runs() throws -> Int { try bench.connection.statistics().map(\.runs).reduce(0, +) }
        let before = try runs()
        try bench.run([Draft(clientID: "k2"), Draft(addressee: nil, clientID: "k3")])
        try bench.run([Draft(sender: "a1", addressee: "u1", clientID: "k2")])
        // Each commit begins and ends, too.
        #expect(try runs() - before == 3 + 2 * 2)
    }
}
