import Net
import Redis
import Synchronization
import TestSupport
import Testing

@Suite("Redis client and a failing server", .timeLimit(.minutes(5)))
struct RedisFailureTests {
    private let loops: EventLoopGroup

    init() throws { loops = try EventLoopGroup() }

    private func client(_ server: RedisServer, _ change: (inout RedisConfiguration) -> Void = { _ in }) -> RedisClient {
        var configuration = RedisConfiguration()
        configuration.commandTimeout = .seconds(60)
        configuration.connectTimeout = .seconds(30)
        configuration.patience = .seconds(60)
        change(&configuration)
        return RedisClient(RedisURL(server.endpoint), loop: loops.next(), configuration: configuration)
    }

    @Test("without an answer in time the connection is closed, with all that is in flight, and made anew")
    func timeout() async throws {
        let server = try await RedisServer()
        let client = client(server) { $0.commandTimeout = .milliseconds(500) }
        _ = try await client.send(RedisCommand("PING"))
        async let slow = client.pipeline([RedisCommand("DEBUG", "SLEEP", "2"), RedisCommand("ECHO", "first")])
        let outcomes = await slow
        #expect(outcomes.map(\.error) == [.timedOut(mayHaveRun: true), .timedOut(mayHaveRun: true)])
        // An answer that came late would be taken for this one's.
        let isBack = await eventually {
            await (try? client.outcome(RedisCommand("ECHO", "second")).get().text) == "second"
        }
        #expect(isBack)
        await client.shutDown()
        server.kill()
    }

    @Test("what is younger than the command that got no answer is lost with its connection")
    func lostBehind() async throws {
        let server = try await RedisServer()
        let client = client(server) { $0.commandTimeout = .seconds(1) }
        _ = try await client.send(RedisCommand("PING"))
        let loop = client.loop
        let outcomes: (RedisError?, RedisError?) = await withCheckedContinuation { continuation in
            loop.submit {
                nonisolated(unsafe) var first: RedisError?
                client.send(RedisCommand("DEBUG", "SLEEP", "3")) { if case .failure(let error) = $0 { first = error } }
                _ = loop.schedule(after: .milliseconds(500)) {
                    client.send(RedisCommand("PING")) {
                        guard case .failure(let error) = $0 else { return continuation.resume(returning: (first, nil)) }
                        continuation.resume(returning: (first, error))
                    }
                }
            }
        }
        #expect(outcomes.0 == .timedOut(mayHaveRun: true))
        #expect(outcomes.1 == .connectionLost(mayHaveRun: true))
        #expect(await eventually { await client.failure(RedisCommand("PING")) == nil })
        await client.shutDown()
        server.kill()
    }

    @Test("what was written when the server died may have run, and is not repeated")
    func killed() async throws {
        let server = try await RedisServer()
        let client = client(server)
        _ = try await client.send(RedisCommand("SET", .key("n"), 1))
        let (sent, didSend) = AsyncStream.makeStream(of: Void.self)
        let commands = [RedisCommand("DEBUG", "SLEEP", "60"), RedisCommand("INCR", .key("n"))]
        async let outcomes = client.pipeline(commands) { didSend.yield() }
        await written(sent, client.loop)
        server.kill()
        #expect(await outcomes.map(\.error) == Array(repeating: .connectionLost(mayHaveRun: true), count: 2))
        try await server.start()
        #expect(try await client.send(RedisCommand("GET", .key("n"))).integer == 1)
        await client.shutDown()
        server.kill()
    }

    /// Returns when what has been sent is written: in the turn after.
    private func written(_ sent: AsyncStream<Void>, _ loop: EventLoop) async {
        for await _ in sent { break }
        await withCheckedContinuation { done in loop.submit { done.resume() } }
    }

    @Test("what was not written waits for the server, in its order")
    func waiting() async throws {
        let server = try await RedisServer()
        let client = client(server)
        _ = try await client.send(RedisCommand("PING"))
        server.kill()
        // Its end is noticed by the loop before anything that is submitted from now on.
        async let outcomes = client.pipeline((0..<500).map { RedisCommand("RPUSH", .key("l"), .integer($0)) })
        try await server.start()
        #expect(await outcomes.allSatisfy { $0.error == nil })
        let list = try await client.send(RedisCommand("LRANGE", .key("l"), 0, -1))
        #expect(list.elements?.map(\.integer) == Array(0..<500))
        await client.shutDown()
        server.kill()
    }

    @Test("what waited for the server for longer than an answer may take has all of that time still")
    func waitedLong() async throws {
        let server = try await RedisServer()
        let client = client(server) { $0.commandTimeout = .seconds(2) }
        _ = try await client.send(RedisCommand("PING"))
        server.kill()
        let start = ContinuousClock.now
        async let outcomes = client.pipeline([RedisCommand("DEBUG", "SLEEP", "0.2"), RedisCommand("PING")])
        #expect(await eventually { ContinuousClock.now - start > .milliseconds(2100) })
        try await server.start()
        #expect(await outcomes.map(\.error) == Array(repeating: nil, count: 2))
        await client.shutDown()
        server.kill()
    }

    @Test("when patience is over, what waits fails, and what comes then fails at once, until the server is back")
    func unavailable() async throws {
        let server = try await RedisServer()
        server.kill()
        let client = client(server) { $0.patience = .milliseconds(200) }
        guard case .unavailable(let reason)? = await client.failure(RedisCommand("PING")) else {
            Issue.record("nobody answers")
            return
        }
        #expect(reason.contains("\(server.port)"))
        let loop = client.loop
        let isAtOnce: Bool = await withCheckedContinuation { continuation in
            loop.submit {
                nonisolated(unsafe) var failure: RedisError?
                client.send(RedisCommand("PING")) { if case .failure(let error) = $0 { failure = error } }
                if case .unavailable? = failure {
                    continuation.resume(returning: true)
                } else {
                    continuation.resume(returning: false)
                }
            }
        }
        #expect(isAtOnce)
        try await server.start()
        #expect(await eventually { await client.failure(RedisCommand("PING")) == nil })
        await client.shutDown()
        server.kill()
    }

    @Test("past the limits of commands and of bytes a command fails at once; answers make room")
    func limits() async throws {
        let server = try await RedisServer()
        let client = client(server) {
            $0.commandsMax = 10
            $0.commandBytesMax = 4000
        }
        let outcomes = await client.pipeline((0..<12).map { RedisCommand("ECHO", .integer($0)) })
        #expect(outcomes.prefix(2).map(\.index) == [10, 11])
        #expect(outcomes.prefix(2).allSatisfy { $0.error == .tooManyWaiting })
        #expect(outcomes.dropFirst(2).allSatisfy { $0.error == nil })
        let large = RedisCommand("ECHO", .bytes([UInt8](repeating: 1, count: 2500)))
        let bytes = await client.pipeline([large, large])
        #expect(bytes.map(\.error) == [.tooManyWaiting, nil])
        #expect(await client.failure(large) == nil)
        await client.shutDown()
        server.kill()
    }

    @Test("a server that loads its data is waited for; without patience its commands hear why")
    func loading() async throws {
        let server = try await RedisServer()
        let value = (0..<100).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let writer = client(server)
        let writes = await writer.pipeline((0..<3000).map { RedisCommand("SET", .key("k\($0)"), .bytes(value)) })
        #expect(writes.allSatisfy { $0.error == nil })
        await writer.shutDown()
        // Only while it loads a snapshot does a server look at its connections often.
        _ = await server.answer("BGREWRITEAOF")
        let isRewritten = await eventually {
            let text = await server.answer("INFO", "persistence")?.text ?? ""
            let size = text.split(separator: "\r\n").first { $0.hasPrefix("aof_base_size:") }?.split(separator: ":")
                .last
            return (size.flatMap { Int($0) } ?? 0) > 3000 * value.count
        }
        #expect(isRewritten)
        server.kill()
        // A key takes 5 ms: a quarter of a minute, which the test ends.
        try await server.start(
            until: .loading,
            ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"]
        )
        let impatient = client(server) { $0.patience = .seconds(1) }
        guard case .unavailable(let reason)? = await impatient.failure(RedisCommand("GET", .key("k7"))) else {
            Issue.record("a loading server answers")
            return
        }
        #expect(reason.contains("LOADING"))
        let patient = client(server)
        async let found = patient.send(RedisCommand("GET", .key("k7")))
        #expect(await eventually { await server.answer("CONFIG", "SET", "key-load-delay", "0")?.text == "OK" })
        #expect(try await found.bytes == value)
        await impatient.shutDown()
        await patient.shutDown()
        server.kill()
    }

    @Test("an answer past the limits ends the connection, and the next one serves")
    func largeAnswer() async throws {
        let server = try await RedisServer()
        let client = client(server) { $0.limits.bulkBytesMax = 100 }
        _ = try await client.send(RedisCommand("SET", .key("k"), .bytes([UInt8](repeating: 1, count: 101))))
        let outcomes = await client.pipeline([RedisCommand("GET", .key("k")), RedisCommand("PING")])
        #expect(outcomes.map(\.error) == [.malformedAnswer(.bulkTooLong), .malformedAnswer(.bulkTooLong)])
        #expect(await client.failure(RedisCommand("PING")) == nil)
        await client.shutDown()
        server.kill()
    }

    @Test("a client that is shut down fails what it has and what comes")
    func shutDown() async throws {
        let server = try await RedisServer()
        let client = client(server)
        _ = try await client.send(RedisCommand("PING"))
        let (sent, didSend) = AsyncStream.makeStream(of: Void.self)
        let commands = [RedisCommand("DEBUG", "SLEEP", "5"), RedisCommand("PING")]
        async let outcomes = client.pipeline(commands) { didSend.yield() }
        await written(sent, client.loop)
        await client.shutDown()
        #expect(await outcomes.map(\.error) == Array(repeating: .shutDown(mayHaveRun: true), count: 2))
        #expect(await client.failure(RedisCommand("PING")) == .shutDown(mayHaveRun: false))
        server.kill()
    }

    @Test("kill -9 in the middle of pipelines: each outcome is a stated one, and repeats leave each entry once")
    func kills() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let server = try await RedisServer()
        let client = client(server) { $0.libraries = [ChatLog.library] }
        let ledger = Ledger(total: 6000)
        async let work: Void = ledger.fill(by: client)
        for kill in 1...4 {
            let mark = kill * ledger.total / 5 + random.next(below: 300)
            _ = await eventually { ledger.sequences.count >= mark }
            server.kill()
            try await server.start(until: .none)
        }
        await work
        let sequences = ledger.sequences
        #expect(sequences.count == ledger.total, "seed \(seed)")
        for conversation in 0..<Ledger.conversations {
            let mine = sequences.filter { $0.key % Ledger.conversations == conversation }.values.sorted()
            #expect(mine == Array(1...mine.count), "seed \(seed), conversation \(conversation)")
            #expect(await server.answer("XLEN", "{c:\(conversation)}")?.integer == mine.count)
        }
        #expect(ledger.failures.allSatisfy { $0 == .connectionLost(mayHaveRun: true) }, "\(ledger.failures)")
        await client.shutDown()
        server.kill()
    }
}

/// Entries that are appended until each has its number, over failures.
private final class Ledger: Sendable {
    static let conversations = 3
    private static let lanes = 4

    let total: Int
    private let state = Mutex<(sequences: [Int: Int], failures: [RedisError])>(([:], []))

    init(total: Int) { self.total = total }

    var sequences: [Int: Int] { state.withLock { $0.sequences } }
    var failures: [RedisError] { state.withLock { $0.failures } }

    func fill(by client: RedisClient) async {
        await withTaskGroup(of: Void.self) { group in
            for lane in 0..<Self.lanes { group.addTask { await self.fill(lane, by: client) } }
        }
    }

    private func fill(_ lane: Int, by client: RedisClient) async {
        var missing = Array(stride(from: lane, to: total, by: Self.lanes))
        while !missing.isEmpty {
            let batch = Array(missing.prefix(64))
            let outcomes = await client.pipeline(batch.map { ChatLog.append("\($0 % Self.conversations)", $0) })
            state.withLock { state in
                for outcome in outcomes {
                    switch outcome.result {
                    case .success(let answer): state.sequences[batch[outcome.index]] = ChatLog.sequence(answer)
                    case .failure(let error): state.failures.append(error)
                    }
                }
            }
            let done = sequences
            missing.removeAll { done[$0] != nil }
        }
    }
}
