import Core
import HTTP
import Net
import Synchronization
import Testing
import Transport

@Suite("HTTP client", .timeLimit(.minutes(5)))
struct HTTPClientTests {
    private let loops: EventLoopGroup

    init() throws { loops = try EventLoopGroup(count: 1) }

    private func client(_ change: (inout HTTPClientConfiguration) -> Void = { _ in }) -> HTTPClient {
        var configuration = HTTPClientConfiguration()
        change(&configuration)
        return HTTPClient(loops: loops, configuration: configuration)
    }

    private func get(_ port: UInt16, _ target: String = "/", host: String = "127.0.0.1") -> ClientRequest {
        ClientRequest(.get, host: host, port: port, target: target)
    }

    private func serve(_ handler: @escaping Handler) throws -> UInt16 {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: 0))
        let server = HTTPServer(
            configuration: HTTPServerConfiguration(address: address),
            loops: loops,
            log: Log(service: "test", level: .error),
            handler: handler
        )
        return try server.start().port
    }

    @Test("exchanges requests with our own server, bodies in both directions")
    func roundTrip() async throws {
        let port = try serve { request in
            let body = try await request.body.collect(upTo: 1 << 20)
            let answer = Array("\(request.method) \(request.head.target) \(request.headers["X-A"] ?? "")".utf8)
            return Response(.created, headers: ["X-B": "b"], body: .bytes(answer + body))
        }
        let client = client()
        let body = [UInt8](repeating: 7, count: 300_000)
        let request = ClientRequest(
            .post,
            host: "127.0.0.1",
            port: port,
            target: "/a?b=c",
            headers: ["X-A": "1"],
            body: body
        )
        let response = try await client.send(request, timeout: .seconds(10))
        #expect(response.status == 201)
        #expect(response.headers["X-B"] == "b")
        #expect(response.body == Array("POST /a?b=c 1".utf8) + body)
    }

    @Test("names are looked up")
    func names() async throws {
        let port = try serve { _ in Response(.noContent) }
        let client = client()
        for _ in 0..<2 {
            #expect(try await client.send(get(port, host: "localhost"), timeout: .seconds(10)).status == 204)
        }
        await #expect(throws: HTTPClientError.self) {
            try await client.send(get(port, host: "no-such-host.invalid"), timeout: .seconds(30))
        }
    }

    @Test("one connection serves one exchange after the other")
    func keepAlive() async throws {
        let server = try ScriptedServer(connections: 1) { _, connection in
            for number in 0..<3 {
                guard connection.readHead().hasPrefix("GET /\(number) ") else { return }
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\(number)")
            }
        }
        defer { server.stop() }
        let client = client()
        for number in 0..<3 {
            let response = try await client.send(get(server.port, "/\(number)"), timeout: .seconds(10))
            #expect(response.body == Array("\(number)".utf8))
        }
    }

    @Test("many requests share few connections")
    func sharing() async throws {
        let most = Mutex((now: 0, most: 0))
        let port = try serve { _ in
            most.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            await Task.yield()
            most.withLock { $0.now -= 1 }
            return Response(.noContent)
        }
        let client = client { $0.connectionsPerHostMax = 3 }
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 {
                group.addTask { try await client.send(self.get(port), timeout: .seconds(20)).status.code }
            }
            for try await status in group { #expect(status == 204) }
        }
        let mostAtOnce = most.withLock { $0.most }
        #expect(mostAtOnce <= 3)
    }

    @Test("past the limit of waiters a request fails at once")
    func waiters() async throws {
        let (held, release) = AsyncStream.makeStream(of: Void.self)
        let (started, didStart) = AsyncStream.makeStream(of: Void.self)
        let port = try serve { _ in
            didStart.yield()
            for await _ in held { break }
            return Response(.noContent)
        }
        let client = client {
            $0.connectionsPerHostMax = 1
            $0.waitersPerHostMax = 0
        }
        async let first = client.send(get(port), timeout: .seconds(20))
        for await _ in started { break }
        await #expect(throws: HTTPClientError.tooManyWaiting) {
            try await client.send(get(port), timeout: .seconds(20))
        }
        release.finish()
        #expect(try await first.status == 204)
    }

    @Test("a kept connection that the server closed is replaced, also for a POST that may be repeated")
    func stale() async throws {
        let server = try ScriptedServer(connections: 2) { number, connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            // Takes the second request and closes without a word, as a server does that closes at the same moment.
            if number == 0 { _ = connection.readHead() }
        }
        defer { server.stop() }
        let client = client()
        _ = try await client.send(get(server.port), timeout: .seconds(10))
        let post = ClientRequest(.post, host: "127.0.0.1", port: server.port, target: "/", isRepeatable: true)
        #expect(try await client.send(post, timeout: .seconds(10)).status == 200)
    }

    @Test("a POST that may not be repeated is not sent twice")
    func notRepeatable() async throws {
        let heads = Mutex(0)
        let server = try ScriptedServer(connections: 2) { _, connection in
            while !connection.readHead().isEmpty {
                let count = heads.withLock {
                    $0 += 1; return $0
                }
                if count == 2 { return }
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
        }
        defer { server.stop() }
        let client = client()
        _ = try await client.send(get(server.port), timeout: .seconds(10))
        let post = ClientRequest(.post, host: "127.0.0.1", port: server.port, target: "/")
        await #expect(throws: HTTPClientError.connectionLost(isSent: true)) {
            try await client.send(post, timeout: .seconds(10))
        }
        let count = heads.withLock { $0 }
        #expect(count == 2)
    }

    @Test("nobody there: the failure says that nothing was sent")
    func refused() async throws {
        let server = try ScriptedServer(connections: 0) { _, _ in }
        let client = client { $0.connectionsPerHostMax = 1 }
        // The listener closes by itself; until then connections wait in its backlog and are reset.
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await #expect(throws: HTTPClientError.self) {
                        try await client.send(self.get(server.port), timeout: .seconds(5))
                    }
                }
            }
        }
        let error = HTTPClientError.connectFailed("x")
        #expect(!error.mayHaveBeenSeen)
    }

    @Test("the time-out covers everything, and the connection is not used again")
    func timeout() async throws {
        let server = try ScriptedServer(connections: 2) { number, connection in
            _ = connection.readHead()
            if number == 0 {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
                connection.waitForClose()
            } else {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        defer { server.stop() }
        let client = client()
        await #expect(throws: HTTPClientError.timedOut(isSent: true)) {
            try await client.send(get(server.port), timeout: .milliseconds(50))
        }
        #expect(try await client.send(get(server.port), timeout: .seconds(10)).body == Array("ok".utf8))
    }

    @Test("cancelling the task gives the exchange up and frees its connection")
    func cancellation() async throws {
        let (started, didStart) = AsyncStream.makeStream(of: Void.self)
        let server = try ScriptedServer(connections: 1) { _, connection in
            _ = connection.readHead()
            didStart.yield()
            connection.waitForClose()
            didStart.finish()
        }
        defer { server.stop() }
        let client = client()
        let request = get(server.port)
        let task = Task { try await client.send(request, timeout: .seconds(30)) }
        var steps = started.makeAsyncIterator()
        _ = await steps.next()
        task.cancel()
        await #expect(throws: HTTPClientError.cancelled(isSent: true)) { try await task.value }
        let next: Void? = await steps.next()
        #expect(next == nil)
        let early = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.send(request, timeout: .seconds(30))
        }
        await #expect(throws: HTTPClientError.cancelled(isSent: false)) { try await early.value }
    }

    @Test("the body's limit holds, announced or chunked: at it, and one past it")
    func bodyLimit() async throws {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        let announced = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
        let server = try ScriptedServer(connections: 4) { number, connection in
            _ = connection.readHead()
            connection.write(number < 2 ? chunked : announced)
        }
        defer { server.stop() }
        for _ in 0..<2 {
            let response = try await client().send(get(server.port), timeout: .seconds(10), responseBytesMax: 5)
            #expect(response.body == Array("abcde".utf8))
            await #expect(throws: HTTPClientError.responseTooLarge) {
                try await client().send(get(server.port), timeout: .seconds(10), responseBytesMax: 4)
            }
        }
    }

    @Test("what is no HTTP is refused; a response that ends early is lost")
    func broken() async throws {
        let answers = ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", ""]
        let server = try ScriptedServer(connections: 3) { number, connection in
            _ = connection.readHead()
            connection.write(answers[number])
        }
        defer { server.stop() }
        let client = client()
        for (number, _) in answers.enumerated() {
            do {
                _ = try await client.send(get(server.port), timeout: .seconds(10))
                Issue.record("answer \(number) was taken")
            } catch {
                switch error {
                case .malformedResponse: #expect(number < 2)
                case .connectionLost(let isSent): #expect(number == 2 && isSent)
                default: Issue.record("\(error)")
                }
            }
        }
    }

    @Test("a response without a length ends with the connection")
    func untilClose() async throws {
        let server = try ScriptedServer(connections: 1) { _, connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\n\r\nall of it")
        }
        defer { server.stop() }
        let response = try await client().send(get(server.port), timeout: .seconds(10))
        #expect(response.body == Array("all of it".utf8))
    }

    @Test("a header value that would break the head is not sent")
    func injection() async throws {
        let request = ClientRequest(.get, host: "127.0.0.1", port: 1, target: "/", headers: ["A": "b\r\nC: d"])
        await #expect(throws: HTTPClientError.invalidRequest(.invalidFieldValue("A"))) {
            try await client().send(request, timeout: .seconds(1))
        }
    }

    @Test("after its shut-down everything fails")
    func shutDown() async throws {
        let (started, didStart) = AsyncStream.makeStream(of: Void.self)
        let server = try ScriptedServer(connections: 1) { _, connection in
            _ = connection.readHead()
            didStart.yield()
            connection.waitForClose()
        }
        defer { server.stop() }
        let client = client()
        let request = get(server.port)
        let task = Task { try await client.send(request, timeout: .seconds(30)) }
        for await _ in started { break }
        await client.shutDown()
        await #expect(throws: HTTPClientError.shutDown) { try await task.value }
        await #expect(throws: HTTPClientError.shutDown) { try await client.send(request, timeout: .seconds(1)) }
    }
}
