import Contracts
import Core
import Foundation
import Net
import Redis
import TestSupport
import Testing

@testable import GatewayService

/// The message log on a Redis of its own: several gateways at once, and what a crash may leave at every step.
@Suite("Message log on Redis", .serialized)
struct RedisLogTests {
    /// Gives the test a server that it may kill.
    private func withServer(
        _ arguments: [String] = [],
        _ body: (RedisServer) async throws -> Void
    ) async throws {
        let server = try await RedisServer(arguments)
        defer { server.kill() }
        try await body(server)
    }

    private func bench(_ server: RedisServer) throws -> RedisBench { try RedisBench(RedisURL(server.endpoint)) }

    private func draft(_ sender: String, _ key: String?, to addressee: String? = nil) -> Draft {
        Draft(conversationID: "c:u1", sender: sender, addressee: addressee, clientID: key, content: key ?? "-")
    }

    // MARK: - Several gateways

    @Test(
        "three gateways that append to one conversation at once: dense, each once, and every state that of its entries"
    )
    func together() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        try await withServer { server in
            let benches = try (0..<3).map { _ in try bench(server) }
            let counts = try await withThrowingTaskGroup(of: [Outcome].self) { group in
                for (index, bench) in benches.enumerated() {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &+ UInt64(index))
                        var outcomes: [Outcome] = []
                        for step in 0..<60 {
                            let drafts = (0..<random.next(below: 5)).map { number in
                                // A third of them is sent by every gateway.
                                let key = random.oneIn(3) ? "s\(step)" : "\(index).\(step).\(number)"
                                return switch random.next(below: 8) {
                                case 0: Draft.system(.assigned(agentID: "a\(random.next(below: 3))"), clientID: key)
                                case 1: Draft.system(.transferred(agentID: nil), clientID: key)
                                case 2: Draft.system(.closed(asked: random.next(below: 99)), clientID: key)
                                case 3, 4: self.draft("a\(random.next(below: 3))", key, to: "u1")
                                default: self.draft("u1", key)
                                }
                            }
                            outcomes += await bench.run(drafts).outcomes
                        }
                        return outcomes
                    }
                }
                return try await group.reduce(into: [Outcome]()) { $0 += $1 }
            }
            let page = try await benches[0].core.read("c:u1", .after(0), limit: 10_000, bytesMax: .max)
            #expect(page.entries.map(\.sequence) == Array(1..<page.head + 1), "seed \(seed)")
            var appended: [Int] = []
            for case .appended(let sequence) in counts { appended.append(sequence) }
            #expect(appended.sorted() == Array(1..<page.head + 1), "seed \(seed)")
            #expect(counts.allSatisfy { $0.sequence != nil || $0 == .failed(.clientIDReused) }, "seed \(seed)")
            try await compareState(benches, page, seed)
        }
    }

    /// The stored state, and what the lists say, against one that is worked out from the entries.
    private func compareState(_ benches: [RedisBench], _ page: EntryPage, _ seed: UInt64) async throws {
        var members: Set<String> = ["u1"]
        var agent: String?
        for entry in page.entries {
            let text = Array(page.bytes[entry.text])
            let agentID = StoredEntry.field("agent_id", in: text)
            switch StoredEntry.field("type", in: text) {
            case "Chat": members.insert(try #require(StoredEntry.field("from_user_id", in: text)))
            case "ConversationClosed": (members, agent) = (["u1"], nil)
            default:
                if let agent, agent != agentID { members.remove(agent) }
                agent = agentID
                if let agentID { members.insert(agentID) }
            }
        }
        for bench in benches {
            #expect(Set(try await bench.core.members(of: "c:u1")) == members, "seed \(seed)")
            let query = ConversationQuery(user: "a9", userType: .agent, scope: .all, limit: 10)
            let listed = try await bench.core.conversations(query).conversations
            #expect(listed.map(\.conversationID) == ["c:u1"], "seed \(seed)")
            #expect(listed.first?.agentID == agent, "seed \(seed)")
            for user in ["u1", "a0", "a1", "a2"] {
                let positions = try await bench.core.positions(of: user, naming: [])
                #expect(!members.contains(user) || positions.map(\.head) == [page.head], "\(user), seed \(seed)")
            }
            let works = try await bench.core.outbox(after: 0, limit: 100).map(\.work)
            let routes = works.filter { if case .route = $0 { true } else { false } }
            #expect(routes.count <= 1, "seed \(seed)")
        }
    }

    @Test("what one gateway changes, another one finds when it appends, without having heard of it")
    func stale() async throws {
        try await withServer { server in
            let (one, other) = (try bench(server), try bench(server))
            await #expect(one.run([draft("u1", "k1")]).audiences == [["u1"]])
            await #expect(other.run([draft("u1", "k2")]).audiences == [["u1"]])
            _ = await one.run([.system(.assigned(agentID: "a1"))])
            let found = await other.run([draft("u1", "k3"), draft("u1", "k1"), draft("u1", "k4")])
            #expect(found.outcomes == [.appended(4), .repeated(1, content: "k1"), .appended(5)])
            #expect(found.audiences == [["a1", "u1"], ["a1", "u1"], ["a1", "u1"]])
            let text = try await one.core.read("c:u1", .after(3), limit: 1, bytesMax: 1).bytes
            #expect(StoredEntry.field("to_user_id", in: text) == "a1")
            // A receipt's members too, with the other gateway's state in memory.
            _ = await one.run([draft("a2", "k5", to: "u1")])
            let receipt = [Membership(user: "u1", conversationID: "c:u1"): GatheredReceipt(delivered: 2, read: 2)]
            #expect(await other.core.store(receipt).first?.members.sorted() == ["a1", "a2", "u1"])
        }
    }

    @Test("what is settled is settled in a step or two, by whichever gateway, and what is not there in none")
    func settled() async throws {
        try await withServer { server in
            let (one, other) = (try bench(server), try bench(server))
            let due = await one.run([draft("u1", "k1")]).due
            #expect(due.count == 1)
            func calls() async throws -> Int {
                let text = try #require(await server.answer("INFO", "commandstats")?.text)
                let line = try #require(text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_fcall:") })
                return try #require(Int(line.split(separator: "=")[1].prefix { $0.isNumber }))
            }
            let before = try await calls()
            for number in due.map(\.number) { await other.core.settle(Int(number)) }
            #expect(try await calls() - before <= 2)
            #expect(try await one.core.outbox(after: 0, limit: 10) == [])
            for number in due.map(\.number) { await one.core.settle(Int(number)) }
            #expect(try await calls() - before <= 2)
            // Presence knows the conversation now: nothing is due again.
            #expect(await one.run([draft("u1", "k2")]).due == [])
        }
    }

    @Test("conversations spread over a cluster: entries, state, lists, outbox, receipts and recall as on one server")
    func cluster() async throws {
        let servers = try await RedisClusterServers()
        defer { servers.kill() }
        let (one, other) = (try RedisBench(servers.url), try RedisBench(servers.url))
        let users = (0..<30).map { "u\($0)" }
        let asking = users.map { Draft(conversationID: "c:\($0)", sender: $0, addressee: nil, clientID: "k1") }
        #expect(await one.run(asking).outcomes.allSatisfy { $0 == .appended(1) })
        #expect(await other.run(asking).outcomes.allSatisfy { $0 == .repeated(1, content: "hello") })
        for server in servers.servers { #expect(try #require(await server.answer("DBSIZE")?.integer) > 20) }
        let due = try await other.core.outbox(after: 0, limit: 100)
        #expect(due.count == users.count)
        for item in due.prefix(10) { await other.core.settle(Int(item.number)) }
        #expect(try await one.core.outbox(after: 0, limit: 100) == Array(due.dropFirst(10)))
        _ = await other.run(users.map { .system(.assigned(agentID: "a1"), in: "c:\($0)") })
        #expect(try await one.core.outbox(after: 0, limit: 100) == [])
        #expect(try await one.core.positions(of: "a1", naming: []).map(\.head) == users.map { _ in 2 })
        for scope in [ConversationQuery.Scope.own, .all] {
            var query = ConversationQuery(user: "a1", userType: .agent, scope: scope, state: .open, limit: 7)
            var found: [String] = []
            repeat {
                let page = try await one.core.conversations(query)
                found += page.conversations.map(\.conversationID)
                query.cursor = page.next
            } while query.cursor != nil
            #expect(found.sorted() == users.map { "c:\($0)" }.sorted())
        }
        let receipts = users.map { (Membership(user: "a1", conversationID: "c:\($0)"), GatheredReceipt(delivered: 2)) }
        #expect(await one.core.store(Dictionary(uniqueKeysWithValues: receipts)).count == users.count)
        #expect(
            await one.run(users.map { .recall(1, in: "c:\($0)", by: $0) }).outcomes.allSatisfy { $0 == .appended(3) }
        )
        for user in users {
            let page = Page(try await other.core.read("c:\(user)", .after(0), limit: 10, bytesMax: .max))
            #expect(page.sequences == [1, 2, 3])
            #expect(page.contents == ["", "", ""])
        }
    }

    // MARK: - Crashes

    @Test("what was announced and never stored is shown nowhere, and taken out once it never will be")
    func announced() async throws {
        try await withServer { server in
            let bench = try bench(server)
            _ = await bench.run([draft("u1", "k1")])
            let before = try await bench.core.outbox(after: 0, limit: 10)
            // As a gateway leaves it that ends between its announcements and the step.
            let entry = LogIndex.Entry(number: 900, version: 2, conversationID: "c:u1")
            let unborn = LogIndex.Entry(number: 901, version: 1, conversationID: "c:u2")
            let commands = [
                entry.put(into: LogIndex.list(.open)), entry.put(into: LogIndex.list(.open, of: "a1")),
                entry.put(into: LogIndex.outbox), LogIndex.join("a1", "c:u1", version: 2),
                unborn.put(into: LogIndex.list(.queued)), LogIndex.join("u2", "c:u2", version: 1),
            ]
            for command in commands { _ = try await bench.core.answer(command) }
            func names(_ scope: ConversationQuery.Scope) async throws -> [String] {
                let query = ConversationQuery(user: "a1", userType: .agent, scope: scope, limit: 10)
                return try await bench.core.conversations(query).conversations.map(\.conversationID)
            }
            for _ in 0..<2 {
                #expect(try await names(.all) == ["c:u1"])
                #expect(try await names(.own) == [])
                #expect(try await bench.core.outbox(after: 0, limit: 10) == before)
                #expect(try await bench.core.positions(of: "a1", naming: ["c:u1"]) == [])
                #expect(try await bench.core.positions(of: "u2", naming: []) == [])
                // Not yet: it may still be on its way.
                #expect(await server.answer("ZCARD", "{log:outbox}") == .integer(2))
            }
            _ = await bench.run([.system(.assigned(agentID: "a2"))])
            #expect(try await names(.all) == ["c:u1"])
            #expect(try await names(.own) == [])
            #expect(try await bench.core.outbox(after: 0, limit: 10) == [])
            #expect(await eventually { await server.answer("ZCARD", "{log:outbox}") == .integer(0) })
            #expect(await eventually { await server.answer("ZCARD", "{log:list:open}") == .integer(1) })
        }
    }

    @Test("a step whose answer is lost is done once: Redis killed while gateways append")
    func killed() async throws {
        try await withServer { server in
            let bench = try bench(server)
            let appending = Task {
                var outcomes: [Outcome] = []
                for number in 0..<200 {
                    let drafts = [
                        draft("u1", nil), draft("u1", "k\(number)"), .system(.assigned(agentID: "a\(number)")),
                    ]
                    outcomes += await bench.run(drafts).outcomes
                }
                return outcomes
            }
            for round in 1...3 {
                #expect(await eventually { (await server.answer("XLEN", "{c:u1}")?.integer ?? 0) >= 120 * round })
                server.kill()
                try await server.start()
            }
            let outcomes = await appending.value
            #expect(outcomes.compactMap(\.sequence).sorted() == Array(1...600))
            let page = try await bench.core.read("c:u1", .after(0), limit: 1000, bytesMax: .max)
            #expect(page.entries.count == 600)
            let ids = Set(page.entries.map { StoredEntry.field("id", in: Array(page.bytes[$0.text])) })
            #expect(ids.count == 600)
            #expect(try await bench.core.position(of: "u1", in: "c:u1")?.agentID == "a199")
        }
    }

    @Test("without Redis, and when it is full, an append is refused and nothing of it is stored")
    func refused() async throws {
        try await withServer { server in
            let bench = try bench(server)
            #expect(await bench.run([draft("u1", "k1")]).outcomes == [.appended(1)])
            await #expect(throws: LogBench.Refused.self) {
                try await bench.fail([draft("u1", "k2"), .system(.assigned(agentID: "a1")), draft("u1", "k1")])
            }
            #expect(await bench.run([draft("u1", "k2")]).outcomes == [.appended(2)])
            server.kill()
            let drafts = [draft("u1", "k3"), .system(.assigned(agentID: "a1"))]
            #expect(await bench.run(drafts).outcomes == [.failed(.unavailable), .failed(.unavailable)])
            await #expect(throws: RedisError.self) { try await bench.core.answer(RedisCommand("PING")) }
            try await server.start()
            #expect(await eventually { await bench.run([draft("u1", "k4")]).outcomes == [.appended(3)] })
            #expect(try await bench.core.members(of: "c:u1") == ["u1"])
        }
    }

    // MARK: - Reads

    @Test("reads after and before every sequence, over recalled messages too, with every limit")
    func ranges() async throws {
        try await withServer { server in
            let bench = try bench(server)
            _ = await bench.run((1...150).map { draft("u1", "k\($0)") })
            let recalled = [1, 64, 65, 66, 150]
            _ = await bench.run(recalled.map { .recall($0) })
            let all = Array(1...155)
            func contents(_ sequence: Int) -> String {
                sequence > 150 || recalled.contains(sequence) ? "" : "k\(sequence)"
            }
            for sequence in [-5, 0, 1, 2, 63, 64, 65, 66, 67, 149, 150, 151, 155, 156, .min, .max] {
                for limit in [1, 2, 63, 64, 65, 130, 1000, .max] {
                    let core = bench.core
                    let after = Page(try await core.read("c:u1", .after(sequence), limit: limit, bytesMax: .max))
                    #expect(after.sequences == Array(all.filter { $0 > sequence }.prefix(limit)))
                    let before = Page(try await core.read("c:u1", .before(sequence), limit: limit, bytesMax: .max))
                    #expect(before.sequences == Array(all.filter { $0 < sequence }.suffix(limit)))
                    for page in [after, before] {
                        #expect(page.head == 155)
                        #expect(page.contents == page.sequences.map(contents))
                    }
                }
            }
            let short = Page(try await bench.core.read("c:u1", .before(nil), limit: 100, bytesMax: 1))
            #expect(short.sequences == [155])
            #expect(Page(try await bench.core.read("c:none", .after(0), limit: 9, bytesMax: 9)) == Page(EntryPage()))
        }
    }

    @Test("a recalled message is nowhere in Redis's files once they are written anew as commands")
    func erased() async throws {
        // A dump of the memory, which is the default, has what was deleted from a stream as long as its neighbours
        // live.
        try await withServer(["--aof-use-rdb-preamble", "no"]) { server in
            let bench = try bench(server)
            let secret = Draft(clientID: "k1", content: "Zebra-4711")
            _ = await bench.run([secret, Draft(clientID: "k2", content: "Gnu-4711"), .recall(1)])
            #expect(await server.answer("XRANGE", "{c:u1}", "0-1", "0-1") == .array([]))
            #expect(await bench.run([secret]).outcomes == [.repeated(1, content: "")])
            let masked = await server.answer("HGET", "{c:u1}:x", "1")?.text
            #expect(masked?.contains("Zebra") == false)
            #expect(masked?.contains(#""recalled":true"#) == true)
            #expect(await server.answer("BGREWRITEAOF") != nil)
            let folder = URL(fileURLWithPath: server.directory.file("appendonlydir"))
            func contents() throws -> Data {
                let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                return try files.reduce(into: Data()) { $0 += try Data(contentsOf: $1) }
            }
            // While it is written anew files come and go.
            #expect(await eventually { (try? contents())?.range(of: Data("Zebra".utf8)) == nil })
            #expect(await eventually { (try? contents())?.range(of: Data("Gnu-4711".utf8)) != nil })
        }
    }

    @Test(
        "an agent's past conversations are taken out of their set once all was delivered, and come back by their entry"
    )
    func forgotten() async throws {
        try await withServer { server in
            let bench = try bench(server)
            _ = await bench.run([draft("u1", "k1"), .system(.assigned(agentID: "a1")), .system(.closed(asked: 2))])
            let receipt = [Membership(user: "a1", conversationID: "c:u1"): GatheredReceipt(delivered: 3, read: 3)]
            #expect(try await bench.core.positions(of: "a1", naming: []).map(\.head) == [3])
            #expect(await bench.core.store(receipt).count == 1)
            #expect(try await bench.core.positions(of: "a1", naming: []) == [])
            #expect(await eventually { await server.answer("ZCARD", "{log:user:a1}") == .integer(0) })
            // Announced again, and read before it is stored: it stays.
            _ = try await bench.core.answer(LogIndex.join("a1", "c:u1", version: 9))
            #expect(try await bench.core.positions(of: "a1", naming: []) == [])
            _ = await bench.run([draft("a1", "k2", to: "u1")])
            #expect(try await bench.core.positions(of: "a1", naming: []).map(\.head) == [4])
            #expect(await server.answer("ZCARD", "{log:user:a1}") == .integer(1))
        }
    }
}
