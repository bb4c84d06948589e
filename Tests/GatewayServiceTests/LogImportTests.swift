import Contracts
import Core
import Net
import Redis
import Storage
import TestSupport
import Testing

@testable import GatewayService

/// An embedded log brought into a real Redis: both answer the same, and go on alike.
@Suite("Import of an embedded log", .serialized)
struct LogImportTests {
    private static let users = ["u1", "u2", "u3", "a1", "a2", "a3"]
    private static let names = ["c:u1", "c:u2", "c:u3", "d:a1:a2"]

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// What may happen to a log, at random.
    private struct Traffic {
        var random: SeededGenerator
        var step = 0
        var sent: [Draft] = []

        mutating func next() -> ([Draft], [Membership: GatheredReceipt]) {
            step += 1
            let drafts = (0..<1 + random.next(below: 6)).map { _ in draft() }
            sent += drafts.filter { $0.clientID != nil }
            var receipts: [Membership: GatheredReceipt] = [:]
            for _ in 0..<random.next(below: 3) {
                let reach = random.next(below: 4 * step)
                let membership = Membership(user: pick(users), conversationID: pick(names))
                receipts[membership] = GatheredReceipt(delivered: reach, read: random.oneIn(2) ? reach : 0)
            }
            return (drafts, receipts)
        }

        private mutating func pick<Value>(_ values: [Value]) -> Value { values[random.next(below: values.count)] }

        private mutating func draft() -> Draft {
            if !sent.isEmpty, random.oneIn(5) { return pick(sent) }
            let name = pick(names)
            let key = random.oneIn(4) ? nil : "k\"\(step)\u{e9}\(random.next(below: 1000))"
            let agent = "a\(1 + random.next(below: 3))"
            var draft = Draft(conversationID: name, clientID: key, content: "\(step) \u{4f60}\n")
            if name.hasPrefix("d:") {
                (draft.sender, draft.addressee) = random.oneIn(2) ? ("a1", "a2") : ("a2", "a1")
                if random.oneIn(4) { return .recall(1 + random.next(below: step), in: name, by: "a1", clientID: key) }
                return draft
            }
            let customer = String(name.dropFirst(2))
            switch random.next(below: 10) {
            case 0..<4: (draft.sender, draft.addressee) = (customer, random.oneIn(2) ? agent : nil)
            case 4, 5: (draft.sender, draft.addressee) = (agent, customer)
            case 6, 7: return .recall(1 + random.next(below: 2 * step), in: name, by: customer, clientID: key)
            default:
                let kinds: [EntryKind] = [
                    .assigned(agentID: agent), .transferred(agentID: nil), .closed(asked: random.next(below: 3 * step)),
                ]
                return .system(pick(kinds), in: name, clientID: "d\(random.next(below: 100_000))")
            }
            if key != nil, random.oneIn(3) { draft.fileID = "f\(random.next(below: 3))" }
            return draft
        }
    }

    private func importLog(_ files: LogFiles, _ url: RedisURL) async throws {
        let core = LogImport.makeCore(
            url,
            loop: try EventLoopGroup(count: 1).next(),
            log: Log(service: "test", level: .error)
        )
        let source = try ImportSource(directory: files.directory, scratch: directory.file("scratch.db"))
        do {
            try await LogImport(source: source, core: core, database: url.database, report: { _ in }).run()
        } catch {
            await core.close()
            throw error
        }
        await core.close()
    }

    private func withRedis(isCluster: Bool = false, _ body: (RedisURL) async throws -> Void) async throws {
        if isCluster {
            let servers = try await RedisClusterServers()
            defer { servers.kill() }
            return try await body(try servers.url)
        }
        let server = try await RedisServer()
        defer { server.kill() }
        try await body(RedisURL(server.endpoint))
    }

    // MARK: - Comparing

    private func compare(_ old: LogBench, _ new: RedisBench, _ seed: UInt64) async throws {
        for name in Self.names {
            let expected = try old.reader.read(name, .after(0), limit: 10_000, bytesMax: .max)
            let found = try await new.core.read(name, .after(0), limit: 10_000, bytesMax: .max)
            #expect(found.head == expected.head, "\(name), seed \(seed)")
            #expect(found.bytes == expected.bytes, "\(name), seed \(seed)")
            #expect(found.entries.map(\.sequence) == expected.entries.map(\.sequence), "\(name), seed \(seed)")
            let members = try await new.core.members(of: name)
            #expect(try members.sorted() == old.reader.members(of: name).sorted(), "\(name), seed \(seed)")
        }
        for user in Self.users {
            let expected = try old.reader.positions(of: user, naming: Self.names)
            let found = try await new.core.positions(of: user, naming: Self.names)
            func sorted(_ positions: [MemberPosition]) -> [MemberPosition] {
                positions.sorted { $0.conversationID < $1.conversationID }
            }
            #expect(sorted(found) == sorted(expected), "\(user), seed \(seed)")
            let owed = try old.reader.positions(of: user, naming: []).map(\.conversationID).sorted()
            let foundOwed = try await new.core.positions(of: user, naming: []).map(\.conversationID).sorted()
            #expect(foundOwed == owed, "\(user), seed \(seed)")
            try await compareLists(old, new, user, seed)
        }
        #expect(try await new.core.outbox(after: 0, limit: 1000) == old.outbox(), "seed \(seed)")
    }

    private func compareLists(_ old: LogBench, _ new: RedisBench, _ user: String, _ seed: UInt64) async throws {
        let type = user.hasPrefix("a") ? UserType.agent : .customer
        for scope in [ConversationQuery.Scope.own, .all] where scope == .own || type == .agent {
            for state in [nil] + RoutingState.allCases.map(Optional.some) {
                var query = ConversationQuery(user: user, userType: type, scope: scope, state: state, limit: 2)
                for _ in 0..<4 {
                    let expected = try old.reader.conversations(query)
                    let found = try await new.core.conversations(query)
                    #expect(found.conversations == expected.conversations, "\(query), seed \(seed)")
                    guard let next = expected.next else { break }
                    // A cursor of before is one of after as well.
                    query.cursor = next
                }
            }
        }
    }

    // MARK: - Tests

    @Test(
        "both answer the same and go on alike, also when a second attempt has overtaken a first one",
        arguments: 0..<4
    )
    func same(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        // The last one spreads it over a cluster.
        try await withRedis(isCluster: round == 3) { url in
            var traffic = Traffic(random: SeededGenerator(seed: seed))
            let old = try LogBench(directory.file("log"))
            for _ in 0..<40 {
                let (drafts, receipts) = traffic.next()
                let due = try old.run(drafts, receipts: receipts).due
                for item in due where traffic.random.oneIn(2) { try old.run(settling: [item.number]) }
                if traffic.random.oneIn(10) { try old.indexer.runOnce() }
            }
            try await importLog(old.files, url)
            let new = try RedisBench(url)
            try await compare(old, new, seed)
            if round % 2 == 1 {
                // As if it had been killed at the last moment, and the old gateway used again since.
                _ = try await new.core.answer(RedisCommand("HSET", LogIndex.importing, "state", "begun"))
                for _ in 0..<10 {
                    let (drafts, receipts) = traffic.next()
                    try old.run(drafts, receipts: receipts)
                }
                try await importLog(old.files, url)
                try await compare(old, new, seed)
            }
            let fresh = try RedisBench(url)
            for _ in 0..<20 {
                let (drafts, receipts) = traffic.next()
                let expected = try old.run(drafts, receipts: receipts)
                let found = await fresh.run(drafts, receipts: receipts)
                #expect(found.outcomes == expected.outcomes, "seed \(seed)")
                #expect(found.audiences == expected.audiences, "seed \(seed)")
            }
            let query = ConversationQuery(user: "a1", userType: .agent, scope: .all, limit: 10)
            let order = try old.reader.conversations(query).conversations.map(\.conversationID)
            let found = try await fresh.core.conversations(query).conversations.map(\.conversationID)
            // Each has written at its own times, which may or may not be the same millisecond for two conversations.
            #expect(found.sorted() == order.sorted(), "seed \(seed)")
            await new.shutDown()
            await fresh.shutDown()
        }
    }

    @Test("a second attempt takes over what was recalled and settled since the first one, with nothing left of it")
    func overtaken() async throws {
        try await withRedis { url in
            let old = try LogBench(directory.file("log"))
            try old.commit([Draft(clientID: "1", fileID: "f1"), Draft(clientID: "2", content: "secret")])
            let due = try old.run([.recall(1, clientID: "r1")]).due
            try await importLog(old.files, url)
            let new = try RedisBench(url)
            let keys = ConversationKeys("c:u1")
            #expect(try await new.core.answer(RedisCommand("HLEN", keys.due)) == .integer(1))
            _ = try await new.core.answer(RedisCommand("HSET", LogIndex.importing, "state", "begun"))
            try old.run([.recall(2, clientID: "r2"), .system(.closed(asked: 9))], settling: due.map(\.number))
            try await importLog(old.files, url)
            try await compare(old, new, 0)
            #expect(try await new.core.answer(RedisCommand("HLEN", keys.due)) == .integer(0))
            // Recalled messages are no part of the stream, whose blocks keep what was in them.
            #expect(try await new.core.answer(RedisCommand("XLEN", keys.stream)) == .integer(3))
            #expect(try await new.core.answer(RedisCommand("HLEN", keys.masked)) == .integer(2))
            await new.shutDown()
        }
    }

    @Test("what changes after an import comes before all that changed before it")
    func order() async throws {
        try await withRedis { url in
            let old = try LogBench(directory.file("log"))
            try old.commit([Draft()] + (0..<20).map { _ in Draft(conversationID: "c:u2", sender: "u2") })
            try old.commit([.system(.assigned(agentID: "a1"), in: "c:u2")])
            try await importLog(old.files, url)
            let new = try RedisBench(url)
            await #expect(new.run([.system(.assigned(agentID: "a2"))]).outcomes == [.appended(2)])
            let query = ConversationQuery(user: "a1", userType: .agent, scope: .all, limit: 10)
            let listed = try await new.core.conversations(query).conversations
            #expect(listed.map(\.conversationID) == ["c:u1", "c:u2"])
            await new.shutDown()
        }
    }

    @Test("a target with a log, with a part of another one, or with a gateway is refused")
    func refused() async throws {
        try await withRedis { url in
            let old = try LogBench(directory.file("log"))
            try old.commit([Draft(clientID: "1")])
            let other = try LogBench(directory.file("other"))
            try other.commit([Draft(clientID: "1")])
            let bench = try RedisBench(url)
            _ = try await bench.core.answer(RedisCommand("HSET", LogIndex.importing, "state", "begun", "source", "x"))
            await #expect(throws: ImportRefusal.self) { try await importLog(old.files, url) }
            await #expect(throws: ImportUnfinished.self) { try await bench.core.checkImport() }
            _ = try await bench.core.answer(RedisCommand("DEL", LogIndex.importing))
            let log = Log(service: "test", level: .error)
            let gateway = try RedisConversationLog(url, intervalMilliseconds: 0, log: log, committed: { _ in })
            try await gateway.check()
            await #expect(throws: ImportRefusal.self) { try await importLog(old.files, url) }
            await gateway.close()
            try await importLog(old.files, url)
            try await bench.core.checkImport()
            for files in [old.files, other.files] {
                await #expect(throws: ImportRefusal.self) { try await importLog(files, url) }
            }
            _ = try await bench.core.answer(RedisCommand("DEL", LogIndex.importing))
            await #expect(throws: ImportRefusal.self) { try await importLog(other.files, url) }
            await bench.shutDown()
        }
    }

    @Test("a log of an older schema is migrated in a copy, and stays as it is")
    func older() async throws {
        try await withRedis { url in
            let files = LogFiles(directory: directory.file("old"))
            let connection = try Connection(path: files.log)
            try Migrator(Array(LogSchema.logMigrations.prefix(1))).migrate(connection)
            let text = Draft(clientID: "1").text(messageID: "0").replacing("\"id\":\"0\"", with: "\"id\":\"first\"")
            try connection.run("INSERT INTO conversation (c, name) VALUES (1, 'c:u1')")
            try connection.run("INSERT INTO member (u, c, delivered) VALUES ('u1', 1, 1)")
            try connection.run("INSERT INTO log (i, c, q, h, b) VALUES (1, 1, 1, 5, ?)", text)
            connection.close()
            try await importLog(files, url)
            let bench = try RedisBench(url)
            let page = try await bench.core.read("c:u1", .after(0), limit: 10, bytesMax: 1000)
            #expect(String(decoding: page.bytes, as: UTF8.self) == text)
            #expect(await bench.run([Draft(clientID: "1")]).outcomes == [.repeated(1, content: "hello")])
            await bench.shutDown()
            let source = try Connection(path: files.log, options: ConnectionOptions(mode: .readOnly))
            #expect(try Migrator(LogSchema.logMigrations).isBehind(source))
            #expect(!FilePreparation.exists(directory.file("scratch.db")))
        }
    }
}
