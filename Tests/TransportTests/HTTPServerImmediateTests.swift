import Core
import HTTP
import Net
import Synchronization
import TestSupport
import Testing
import Transport

/// Counts the answers that needed no task, and those that did.
private final class Counts: Sendable {
    private let counts = Mutex((now: 0, later: 0))

    var now: Int { counts.withLock { $0.now } }
    var later: Int { counts.withLock { $0.later } }

    /// Echoes at once when the body is there, else in a task; `/slow` waits for `gate`.
    func responder(_ gate: Gate? = nil) -> Responder {
        { request in
            guard let body = request.body.whole, request.path != "/slow" else {
                self.counts.withLock { $0.later += 1 }
                return Reply(request) { request in
                    if request.path == "/slow" { await gate?.wait() }
                    return try await echo(request)
                }
            }
            self.counts.withLock { $0.now += 1 }
            if request.path == "/throws" { return .now(.failure(Problem(409, .conflict, "no"))) }
            let text = Array("\(request.method) \(request.head.target) ".utf8) + body
            return .now(.success(Response(contentType: "text/plain", text)))
        }
    }
}

@Suite("HTTP server: answers at once", .timeLimit(.minutes(5)))
struct HTTPServerImmediateTests {
    private let post = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"

    @Test("keeps the connection, and needs no task")
    func keepAlive() async throws {
        let counts = Counts()
        try await withServer(responder: counts.responder()) { server, port in
            let client = try await RawClient(port: port)
            for _ in 0..<5 {
                try await client.send(post)
                let (head, body) = try await client.receiveResponse()
                #expect(head.status == 200 && head.headers["Connection"] == nil)
                #expect(head.headers["X-Request-Id"]?.utf8.count == 16)
                #expect(body.text == "POST /a hi")
            }
            #expect(server.openConnections == 1)
        }
        #expect(counts.now == 5 && counts.later == 0)
    }

    @Test("a request cut at any byte gets the same answer; a body that comes late is waited for in a task")
    func everySplit() async throws {
        let counts = Counts()
        let bytes = Array(post.utf8)
        let headCount = bytes.count - 2
        try await withServer(responder: counts.responder()) { _, port in
            let client = try await RawClient(port: port)
            for cut in 1..<bytes.count {
                try await client.send(Array(bytes[..<cut]))
                // What is sent first has been read first: without a head nothing is counted, with one a task waits.
                if cut >= headCount {
                    #expect(await eventually { counts.later == cut - headCount + 1 })
                }
                try await client.send(Array(bytes[cut...]))
                #expect(try await client.receiveResponse().body.text == "POST /a hi")
            }
        }
        // Cuts at the body's begin and within it.
        #expect(counts.later == 2 && counts.now == bytes.count - 3)
    }

    @Test("pipelined requests are answered in order, also behind one that waits")
    func order() async throws {
        let counts = Counts()
        let gate = Gate()
        try await withServer(responder: counts.responder(gate)) { _, port in
            let client = try await RawClient(port: port)
            var input = ""
            for number in 0..<20 { input += "GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n" }
            input += "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"
            for number in 20..<40 { input += "GET /\(number) HTTP/1.1\r\nHost: h\r\n\r\n" }
            try await client.send(input)
            for number in 0..<20 {
                #expect(try await client.receiveResponse().body.text == "GET /\(number) ")
            }
            #expect(await eventually { counts.later == 1 })
            // One at a time: what is behind the slow one has not been begun.
            #expect(counts.now == 20)
            gate.open()
            #expect(try await client.receiveResponse().body.text == "POST /slow x")
            for number in 20..<40 {
                #expect(try await client.receiveResponse().body.text == "GET /\(number) ")
            }
        }
        #expect(counts.now == 40 && counts.later == 1)
    }

    @Test("HEAD has no body, an error is its problem document, and the connection goes on")
    func headAndError() async throws {
        let counts = Counts()
        try await withServer(responder: counts.responder()) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse(to: .head).head.headers["Content-Length"] == "8")
            try await client.send("GET /throws HTTP/1.1\r\nHost: h\r\n\r\n")
            let refusal = try await client.receiveResponse()
            #expect(refusal.head.status.code == 409)
            #expect(refusal.body.text.contains(#""code":"conflict""#))
            try await client.send(post)
            #expect(try await client.receiveResponse().body.text == "POST /a hi")
        }
        #expect(counts.later == 0)
    }

    @Test("a body over the limit is refused before anybody is asked")
    func oversize() async throws {
        let counts = Counts()
        try await withServer(configure: { $0.bodyBytesMax = 3 }, responder: counts.responder()) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nlong")
            #expect(try await client.receiveToEnd().text.hasPrefix("HTTP/1.1 413 "))
        }
        #expect(counts.now == 0 && counts.later == 0)
    }

    @Test("a large body is left to be asked for")
    func large() async throws {
        let counts = Counts()
        let body = String(repeating: "x", count: 17_000)
        try await withServer(responder: counts.responder()) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(try await client.receiveResponse().body.text == "POST /a \(body)")
        }
        #expect(counts.now == 0 && counts.later == 1)
    }

    @Test("a client that expects 100 and has sent its body anyway is answered without it")
    func expectation() async throws {
        let counts = Counts()
        try await withServer(responder: counts.responder()) { _, port in
            let client = try await RawClient(port: port)
            let fields = "Host: h\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n"
            try await client.send("POST /a HTTP/1.1\r\n\(fields)\r\nhi")
            let answer = try await client.receiveToEnd().text
            #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.hasSuffix("POST /a hi"))
        }
        #expect(counts.now == 1)
    }

    @Test("a half-closed connection is answered to its last request, and closed")
    func halfClose() async throws {
        try await withServer(responder: Counts().responder()) { server, port in
            let client = try await RawClient(port: port)
            try await client.send(post + post)
            client.endSending()
            #expect(try await client.receiveToEnd().text.ranges(of: "POST /a hi").count == 2)
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a drain closes idle connections, and an answer during it is the last")
    func drain() async throws {
        let counts = Counts()
        let gate = Gate()
        try await withServer(responder: counts.responder(gate)) { server, port in
            let idle = try await RawClient(port: port)
            try await idle.send(post)
            _ = try await idle.receiveResponse()
            let busy = try await RawClient(port: port)
            try await busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + post)
            #expect(await eventually { counts.later == 1 })
            async let drained: Void = server.drain(grace: .seconds(30))
            #expect(try await idle.receiveToEnd().isEmpty)
            gate.open()
            let rest = try await busy.receiveToEnd().text
            #expect(rest.contains("Connection: close\r\n") && rest.contains("GET /slow "))
            #expect(!rest.contains("POST /a hi"))
            await drained
        }
    }
}
