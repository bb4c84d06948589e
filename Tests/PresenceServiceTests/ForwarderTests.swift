import Core
import HTTP
import Net
import ServiceKit
import Synchronization
import Testing
import Transport

@testable import PresenceService

@Suite("Requests handed on to the leader", .timeLimit(.minutes(5)))
struct ForwarderTests {
    /// What a leader was asked.
    private final class Asked: Sendable {
        private let requests = Mutex<[(head: RequestHead, body: [UInt8])]>([])

        func note(_ request: Request) async throws {
            let body = try await request.body.collect(upTo: 1 << 21)
            requests.withLock { $0.append((request.head, body)) }
        }

        var all: [(head: RequestHead, body: [UInt8])] { requests.withLock { $0 } }
    }

    private let clock = TestClock()

    private func serve(_ loops: EventLoopGroup, port: UInt16 = 0, _ handler: @escaping Handler) throws -> HTTPServer {
        let address = try #require(SocketAddress(host: "127.0.0.1", port: port))
        return HTTPServer(
            configuration: HTTPServerConfiguration(address: address),
            loops: loops,
            log: Log(service: "presence", descriptor: -1)
        ) { request in
            do { return try await handler(request) } catch { return Response(500) }
        }
    }

    /// Runs `body` with a forwarder to a server that answers as `handler` says.
    private func withLeader(_ handler: @escaping Handler, _ body: (Forwarder) async throws -> Void) async throws {
        let loops = try EventLoopGroup(count: 1)
        let server = try serve(loops, handler)
        let url = BaseURL(HostPort(host: "127.0.0.1", port: Int(try server.start().port)))
        let forwarder = Forwarder(to: url, token: "the token", loops: loops, now: { [clock] in clock.now })
        do { try await body(forwarder) } catch {
            await forwarder.close()
            throw error
        }
        await forwarder.close()
        await server.drain(grace: .zero)
        loops.shutDown()
    }

    private func request(
        _ method: HTTP.Method,
        _ target: String,
        _ headers: Headers = [:],
        _ body: String = ""
    ) -> Request {
        Request(
            head: RequestHead(method: method, target: target, headers: headers),
            body: RequestBody(Array(body.utf8)),
            remoteAddress: "10.1.2.3",
            id: "request-1"
        )
    }

    @Test("session, id, body and query go along; what is the connection's, a browser's or a forged token does not")
    func asked() async throws {
        let asked = Asked()
        try await withLeader { request in
            try await asked.note(request)
            return Response(.noContent)
        } _: { forwarder in
            let headers: Headers = [
                "X-Session-Id": "s1", "Authorization": "Bearer s2", "Cookie": "session_id=s3",
                "Content-Type": "application/json", "Origin": "http://page", "X-Internal-Token": "forged",
                "Connection": "close", "X-Request-Id": "other",
            ]
            let target = "/api/presence/me?x=%20y"
            let answer = try await forwarder.forward(request(.put, target, headers, #"{"status":"Busy"}"#))
            #expect(answer.status == .noContent)
            #expect(try await forwarder.forward(request(.head, "/api/presence")).status == .noContent)
        }
        let (head, body) = try #require(asked.all.first)
        #expect(head.method == .put && head.target == "/api/presence/me?x=%20y")
        #expect(body == Array(#"{"status":"Busy"}"#.utf8))
        let expected = [
            "X-Session-Id": "s1", "Authorization": "Bearer s2", "Cookie": "session_id=s3",
            "Content-Type": "application/json", "X-Internal-Token": "the token", "X-Request-Id": "request-1",
            "X-Forwarded-For": "10.1.2.3", Forwarder.header: "1",
        ]
        for (name, value) in expected { #expect(head.headers.values(name) == [value], "\(name)") }
        #expect(head.headers["Origin"] == nil)
        #expect(asked.all.last?.head.method == .get)
    }

    @Test("status, fields and body of the answer come back, errors too", arguments: [200, 409, 429, 503])
    func answered(status: Int) async throws {
        try await withLeader { _ in
            var response = Response(Status(status), contentType: "application/problem+json", Array("{}".utf8))
            response.headers["Retry-After"] = "7"
            return response
        } _: { forwarder in
            let answer = try await forwarder.forward(request(.get, "/internal/users"))
            #expect(answer.status == Status(status))
            #expect(answer.headers["Content-Type"] == "application/problem+json")
            #expect(answer.headers["Retry-After"] == "7")
            #expect(["Date", "Content-Length", "Connection"].allSatisfy { answer.headers[$0] == nil })
            guard case .bytes(let bytes) = answer.body else {
                Issue.record("no body")
                return
            }
            #expect(bytes == Array("{}".utf8))
        }
    }

    @Test("a body over the limit is refused before the leader is asked")
    func tooLarge() async throws {
        let asked = Asked()
        try await withLeader { request in
            try await asked.note(request)
            return Response(.noContent)
        } _: { forwarder in
            let body = String(repeating: "a", count: InternalRoutes.bodyBytesMax + 1)
            await #expect(throws: Problem.self) {
                _ = try await forwarder.forward(request(.post, "/internal/events", [:], body))
            }
        }
        #expect(asked.all.isEmpty)
    }

    @Test("a leader that is gone is 503; it is not asked for a while then, but for long polls")
    func gone() async throws {
        let loops = try EventLoopGroup(count: 1)
        // A port that nobody listens on, for now.
        let former = try serve(loops) { _ in Response(.noContent) }
        let port = try former.start().port
        await former.drain(grace: .zero)
        let url = BaseURL(HostPort(host: "127.0.0.1", port: Int(port)))
        let forwarder = Forwarder(to: url, token: "the token", loops: loops, now: { [clock] in clock.now })
        func ask(_ target: String = "/internal/users") async throws -> Status {
            try await forwarder.forward(request(.get, target)).status
        }
        await #expect(throws: PresenceError.notLeading) { try await ask("/internal/changes?wait=25") }
        for _ in 0..<CircuitBreaker.Configuration().failuresMax {
            await #expect(throws: PresenceError.notLeading) { try await ask() }
        }
        let server = try serve(loops, port: port) { _ in Response(.noContent) }
        _ = try server.start()
        await #expect(throws: PresenceError.notLeading) { try await ask() }
        #expect(try await ask("/internal/changes?wait=25") == .noContent)
        await #expect(throws: PresenceError.notLeading) { try await ask() }
        clock.now += CircuitBreaker.Configuration().pauseMilliseconds
        #expect(try await ask() == .noContent)
        await forwarder.close()
        await server.drain(grace: .zero)
        loops.shutDown()
    }

    @Test("what waits for a leader is given up when another one leads")
    func closed() async throws {
        let asked = Asked()
        let (held, release) = AsyncStream<Void>.makeStream()
        try await withLeader { request in
            try await asked.note(request)
            for await _ in held {}
            return Response(.noContent)
        } _: { forwarder in
            let waiting = Task { try await forwarder.forward(request(.get, "/internal/changes?wait=25")) }
            while asked.all.isEmpty { await Task.yield() }
            await forwarder.close()
            await #expect(throws: PresenceError.notLeading) { _ = try await waiting.value }
            release.finish()
        }
    }
}
