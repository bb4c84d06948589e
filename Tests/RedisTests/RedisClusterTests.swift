import Net
import Redis
import TestSupport
import Testing

@Suite("Redis cluster client", .timeLimit(.minutes(5)))
struct RedisClusterTests {
    private let loops: EventLoopGroup

    init() throws { loops = try EventLoopGroup() }

    private func cluster(_ url: RedisURL, _ change: (inout RedisConfiguration) -> Void = { _ in }) -> RedisCluster {
        var configuration = RedisConfiguration()
        configuration.commandTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(30)
        configuration.patience = .seconds(60)
        configuration.libraries = [ChatLog.library]
        change(&configuration)
        return RedisCluster(url, loop: loops.next(), configuration: configuration)
    }

    /// How many errors of a kind a server has given.
    private func errors(_ code: String, of server: RedisServer) async -> String? {
        let text = await server.answer("INFO", "errorstats")?.text ?? ""
        return text.split(separator: "\r\n").first { $0.hasPrefix("errorstat_\(code):") }.map(String.init)
    }

    @Test("a plain server is one node, which is asked nothing about clusters")
    func plain() async throws {
        let server = try await RedisServer()
        let client = cluster(RedisURL(server.endpoint))
        let outcomes = await client.pipeline((1...1000).map { ChatLog.append("a", $0) })
        #expect(try outcomes.map { ChatLog.sequence(try $0.result.get()) } == Array(1...1000))
        let statistics = try #require(await server.answer("INFO", "commandstats")?.text)
        #expect(statistics.contains("cmdstat_fcall"))
        #expect(!statistics.contains("cluster"))
        await client.shutDown()
        #expect(await client.failure(RedisCommand("PING")) == .shutDown(mayHaveRun: false))
        server.kill()
    }

    @Test("keys of all slots, from one known server; functions are on every primary")
    func slots() async throws {
        let servers = try await RedisClusterServers()
        let client = cluster(RedisURL(servers.servers[0].endpoint))
        let outcomes = await client.pipeline((0..<3000).map { ChatLog.append("\($0)", $0) })
        #expect(outcomes.count == 3000)
        let failures = outcomes.compactMap(\.error)
        #expect(outcomes.allSatisfy { (try? $0.result.get().text) == "0-1" }, "\(failures.prefix(3))")
        for server in servers.servers {
            #expect(try #require(await server.answer("DBSIZE")?.integer) > 1000)
        }
        // With the map nothing is sent astray any more.
        let before = await errors("MOVED", of: servers.servers[0])
        let again = await client.pipeline((0..<3000).map { ChatLog.append("\($0)", $0) })
        #expect(again.allSatisfy { (try? $0.result.get().text) == "1" })
        #expect(await errors("MOVED", of: servers.servers[0]) == before)
        guard case .server(let error)? = await client.failure(RedisCommand("MGET", .key("a"), .key("b"))) else {
            Issue.record("keys of two slots")
            return
        }
        #expect(error.code == .crossSlot)
        #expect(try await client.send(RedisCommand("PING")).text == "PONG")
        await client.shutDown()
        servers.kill()
    }

    @Test("while a slot moves its keys are asked for where they are; afterwards at the new server")
    func moving() async throws {
        let servers = try await RedisClusterServers()
        let client = cluster(try servers.url)
        let tag = "{c:moving}"
        let slot = HashSlot.of(tag)
        let (source, target) = (servers.owner(of: slot), servers.servers.first { $0 !== servers.owner(of: slot) })
        let goal = try #require(target)
        for name in ["a", "b"] { _ = try await client.send(RedisCommand("SET", .key(tag + name), .text(name))) }
        await servers.beginMove(slot, to: goal)
        await servers.moveKey(tag + "a", to: goal)
        #expect(try await client.send(RedisCommand("GET", .key(tag + "a"))).text == "a")
        #expect(try await client.send(RedisCommand("GET", .key(tag + "b"))).text == "b")
        _ = try await client.send(RedisCommand("SET", .key(tag + "new"), "n"))
        #expect(await errors("ASK", of: source) != nil)
        // Keys of one command on both sides: refused again and again, until they are on one.
        let both = RedisCommand("MGET", .key(tag + "a"), .key(tag + "b"))
        guard case .server(let error)? = await client.failure(both) else {
            Issue.record("keys on two servers")
            return
        }
        #expect(error.code == .tryAgain)
        async let values = client.send(both)
        await servers.moveKey(tag + "b", to: goal)
        #expect(try await values.elements?.map(\.text) == ["a", "b"])
        await servers.endMove(slot, to: goal)
        let many = await client.pipeline((0..<200).map { RedisCommand("RPUSH", .key(tag + "l"), .integer($0)) })
        #expect(many.allSatisfy { $0.error == nil })
        // The map is asked for anew after MOVED; then nothing more goes to the former server.
        let isKnown = await eventually {
            let before = await errors("MOVED", of: source)
            let isTaken = await client.failure(RedisCommand("GET", .key(tag + "a"))) == nil
            let after = await errors("MOVED", of: source)
            return isTaken && after == before
        }
        #expect(isKnown)
        let list = try await client.send(RedisCommand("LRANGE", .key(tag + "l"), 0, -1))
        #expect(list.elements?.compactMap(\.integer).sorted() == Array(0..<200))
        await client.shutDown()
        servers.kill()
    }

    @Test("a primary that is away takes only its own slots with it, and they are back with it")
    func away() async throws {
        let servers = try await RedisClusterServers()
        let client = cluster(try servers.url) { $0.patience = .milliseconds(300) }
        let names = (0..<60).map { "n\($0)" }
        #expect(await client.pipeline(names.map { ChatLog.append($0, 1) }).allSatisfy { $0.error == nil })
        let dead = servers.servers[2]
        dead.kill()
        func isOnDead(_ name: String) -> Bool { servers.owner(of: HashSlot.of("c:\(name)")) === dead }
        let outcomes = await client.pipeline(names.map { ChatLog.append($0, 2) })
        for outcome in outcomes {
            if !isOnDead(names[outcome.index]) {
                #expect(outcome.error == nil)
            } else {
                switch outcome.error {
                case .unavailable, .connectionLost, .server: break
                default: Issue.record("\(outcome)")
                }
            }
        }
        #expect(outcomes.contains { isOnDead(names[$0.index]) })
        try await dead.start()
        let isBack = await eventually {
            await client.pipeline(names.map { ChatLog.append($0, 2) }).allSatisfy { $0.error == nil }
        }
        #expect(isBack)
        for name in names {
            let answer = try await client.send(RedisCommand("XLEN", .key("{c:\(name)}")))
            #expect(answer == .integer(2))
        }
        await client.shutDown()
        servers.kill()
    }
}
