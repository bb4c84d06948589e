import Net
import Redis
import TestSupport
import Testing

@Suite("Redis client", .timeLimit(.minutes(5)))
struct RedisClientTests {
    private let loops: EventLoopGroup

    init() throws { loops = try EventLoopGroup() }

    private func client(
        _ server: RedisServer,
        _ credentials: String = "",
        database: Int = 0,
        _ change: (inout RedisConfiguration) -> Void = { _ in }
    ) throws -> RedisClient {
        var configuration = RedisConfiguration()
        // What a busy machine takes is no failure of these tests.
        configuration.commandTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(30)
        configuration.patience = .seconds(60)
        change(&configuration)
        let url = try RedisURL("redis://\(credentials)127.0.0.1:\(server.port)/\(database)")
        return RedisClient(url, loop: loops.next(), configuration: configuration)
    }

    @Test("ten thousand commands of one turn are answered in their order")
    func order() async throws {
        let server = try await RedisServer()
        let client = try client(server)
        let commands = (0..<10_000).map { RedisCommand("ECHO", .integer($0)) }
        let outcomes = await client.pipeline(commands)
        #expect(outcomes.map(\.index) == Array(0..<10_000))
        #expect(try outcomes.map { try $0.result.get().integer } == Array(0..<10_000))
        await client.shutDown()
        server.kill()
    }

    @Test("answers of RESP3, errors with their code, and the database")
    func answers() async throws {
        let server = try await RedisServer()
        let client = try client(server, database: 3) { $0.clientName = "tests" }
        #expect(try await client.send(RedisCommand("HSET", .key("h"), "a", "1", "b", "2")) == .integer(2))
        guard case .map(let entries) = try await client.send(RedisCommand("HGETALL", .key("h"))) else {
            Issue.record("no map")
            return
        }
        #expect(entries.map(\.key.text) == ["a", "b"])
        #expect(try await client.send(RedisCommand("GET", .key("no"))) == .null)
        #expect(try await client.send(RedisCommand("CLIENT", "GETNAME")).text == "tests")
        let wrong = await client.failure(RedisCommand("INCR", .key("h")))
        guard case .server(let error)? = wrong else {
            Issue.record("\(String(describing: wrong))")
            return
        }
        #expect(error.code == .wrongType)
        #expect(try await server.answers([RedisCommand("SELECT", 3), RedisCommand("EXISTS", "h")])[1] == .integer(1))
        await client.shutDown()
        server.kill()
    }

    @Test("a value of more than ten mebibytes goes in and comes out")
    func bigValue() async throws {
        let server = try await RedisServer()
        let client = try client(server)
        var value = [UInt8](0...255)
        while value.count < 10 << 20 { value += value }
        let outcomes = await client.pipeline([
            RedisCommand("SET", .key("k"), .bytes(value)), RedisCommand("GET", .key("k")), RedisCommand("PING"),
        ])
        #expect(try outcomes[0].result.get().text == "OK")
        #expect(try outcomes[1].result.get().bytes == value)
        #expect(try outcomes[2].result.get().text == "PONG")
        await client.shutDown()
        server.kill()
    }

    @Test("passwords: the right ones are taken, a wrong one fails commands at once, and is in no error")
    func passwords() async throws {
        let server = try await RedisServer(["--requirepass", "right", "--user", "chat", "on", ">chatpw", "~*", "+@all"])
        for credentials in [":right@", "chat:chatpw@"] {
            let client = try client(server, credentials)
            #expect(try await client.send(RedisCommand("PING")).text == "PONG")
            await client.shutDown()
        }
        for (credentials, code) in [(":hidden@", RedisServerError.Code.wrongPassword), ("", .noAuthentication)] {
            let client = try client(server, credentials)
            let failure = await client.failure(RedisCommand("PING"))
            guard case .refused(let error)? = failure else {
                Issue.record("\(String(describing: failure))")
                return
            }
            #expect(error.code == code)
            #expect(!"\(failure as Any)".contains("hidden"))
            await client.shutDown()
        }
        server.kill()
    }

    @Test("a server without HELLO is spoken to in RESP2")
    func oldServer() async throws {
        let server = try await RedisServer(["--requirepass", "right", "--rename-command", "HELLO", ""])
        let client = try client(server, ":right@", database: 2) { $0.clientName = "old" }
        _ = try await client.send(RedisCommand("HSET", .key("h"), "a", "1"))
        let answer = try await client.send(RedisCommand("HGETALL", .key("h")))
        #expect(answer == .array([.string(Array("a".utf8)), .string(Array("1".utf8))]))
        #expect(answer["a"]?.integer == 1)
        #expect(try await client.send(RedisCommand("CLIENT", "GETNAME")).text == "old")
        await client.shutDown()
        let refused = try self.client(server, ":wrong@")
        guard case .refused? = await refused.failure(RedisCommand("PING")) else {
            Issue.record("taken with a wrong password")
            return
        }
        await refused.shutDown()
        server.kill()
    }

    @Test("names are looked up; one without an address is unavailable")
    func names() async throws {
        let server = try await RedisServer()
        let named = RedisClient(try RedisURL("redis://localhost:\(server.port)"), loop: loops.next())
        #expect(try await named.send(RedisCommand("PING")).text == "PONG")
        await named.shutDown()
        var configuration = RedisConfiguration()
        configuration.patience = .milliseconds(50)
        let nameless = RedisClient(
            try RedisURL("redis://no-such-host.invalid"),
            loop: loops.next(),
            configuration: configuration
        )
        guard case .unavailable? = await nameless.failure(RedisCommand("PING")) else {
            Issue.record("a name without an address answers")
            return
        }
        await nameless.shutDown()
        server.kill()
    }

    @Test("functions are loaded at connecting, and again when the server has lost them; calls keep their order")
    func functions() async throws {
        let server = try await RedisServer()
        let client = try client(server) { $0.libraries = [ChatLog.library] }
        #expect(try await client.send(ChatLog.append("a", 1)).text == "0-1")
        #expect(try await client.send(ChatLog.append("a", 1)).text == "1")
        #expect(await server.answer("FUNCTION", "FLUSH")?.text == "OK")
        let outcomes = await client.pipeline((2...300).map { ChatLog.append("a", $0) })
        #expect(try outcomes.map { ChatLog.sequence(try $0.result.get()) } == Array(2...300))
        // Asked for once: a function that no library has is its caller's error.
        guard case .server(let error)? = await client.failure(RedisCommand("FCALL", "no_such_function", 0)) else {
            Issue.record("a missing function answers")
            return
        }
        #expect(error.message.hasPrefix("Function not found"))
        await client.shutDown()
        server.kill()
    }

    @Test("a library that does not compile is refused")
    func brokenLibrary() async throws {
        let server = try await RedisServer()
        let client = try client(server) {
            $0.libraries = [RedisLibrary(name: "broken", version: 1, source: "this is no Lua")]
        }
        guard case .refused(let error)? = await client.failure(RedisCommand("PING")) else {
            Issue.record("taken")
            return
        }
        #expect(error.message.contains("ompil"))
        await client.shutDown()
        server.kill()
    }
}
