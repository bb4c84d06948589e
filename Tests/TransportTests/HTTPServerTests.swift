import Core
import Glibc
import HTTP
import Net
import Synchronization
import TestSupport
import Testing
import Transport

@Suite("HTTP server", .timeLimit(.minutes(5)))
struct HTTPServerTests {
    @Test("answers a request, and keeps the connection")
    func keepAlive() async throws {
        try await withServer(handler: echo) { server, port in
            let client = try await RawClient(port: port)
            for _ in 0..<3 {
                try await client.send("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
                let (head, body) = try await client.receiveResponse()
                #expect(head.status == 200)
                #expect(body.text == "POST /a hi")
                #expect(head.headers["Content-Length"] == "10")
                #expect(head.headers["Connection"] == nil)
                #expect(head.headers["Date"]?.hasSuffix("GMT") == true)
                #expect(head.headers["X-Request-Id"]?.utf8.count == 16)
            }
            #expect(server.openConnections == 1)
        }
    }

    @Test("answers pipelined requests in order, one at a time")
    func pipelining() async throws {
        let running = Mutex((now: 0, most: 0))
        let handler: Handler = { request in
            running.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            defer { running.withLock { $0.now -= 1 } }
            await Task.yield()
            return try await echo(request)
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            var input = ""
            for number in 0..<50 {
                input += "POST /\(number) HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
            }
            try await client.send(input)
            for number in 0..<50 {
                #expect(try await client.receiveResponse().body.text == "POST /\(number) x")
            }
        }
        #expect(running.withLock { $0.most } == 1)
    }

    @Test("takes requests byte by byte")
    func byteByByte() async throws {
        try await withServer(handler: echo) { _, port in
            let client = try await RawClient(port: port)
            let request =
                "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n"
            for byte in request.utf8 { try await client.send([byte]) }
            #expect(try await client.receiveResponse().body.text == "POST /a abc")
        }
    }

    @Test("takes connections on several loops")
    func severalLoops() async throws {
        try await withServer(loops: 2, handler: echo) { server, port in
            var clients: [RawClient] = []
            for _ in 0..<6 { clients.append(try await RawClient(port: port)) }
            for client in clients {
                try await client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
                #expect(try await client.receiveResponse().body.text == "GET /x ")
            }
            #expect(server.openConnections == 6)
        }
    }

    @Test("speaks HTTP/1.0: closes by default, keeps alive when asked")
    func http10() async throws {
        try await withServer(handler: echo) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            let (head, _) = try await client.receiveResponse()
            #expect(head.headers["Connection"] == "keep-alive")
            try await client.send("GET /b HTTP/1.0\r\n\r\n")
            let rest = try await client.receiveToEnd().text
            #expect(rest.contains("Connection: close\r\n"))
            #expect(rest.hasSuffix("GET /b "))
        }
    }

    @Test("closes after a request with Connection: close")
    func connectionClose() async throws {
        try await withServer(handler: echo) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await client.receiveToEnd().text.contains("Connection: close\r\n"))
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("answers HEAD, 204 and 304 without a body, and the connection goes on")
    func bodiless() async throws {
        let handler: Handler = { request in
            switch request.path {
            case "/204": Response(204)
            case "/304": Response(304, headers: ["ETag": "\"a\""])
            default: Response(contentType: "text/plain", Array("body".utf8))
            }
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            let head = try await client.receiveResponse(to: .head).head
            #expect(head.headers["Content-Length"] == "4")
            for status in [204, 304] {
                try await client.send("GET /\(status) HTTP/1.1\r\nHost: h\r\n\r\n")
                let response = try await client.receiveResponse()
                #expect(response.head.status.code == status)
                #expect(response.head.headers["Content-Length"] == nil)
            }
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse().body.text == "body")
        }
    }

    @Test(
        "answers what is no request with a problem document, then closes",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 0, 400), ("GET /\r\n", 0, 400), ("GET / HTTP/2.0\r\n", 0, 505),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400),
            ("GET /", 9000, 414), ("GET / HTTP/1.1\r\nA: ", 40_000, 431),
        ]
    )
    func refused(_ start: String, _ filling: Int, _ status: Int) async throws {
        let input = start + String(repeating: "a", count: filling)
        try await withServer(handler: echo) { server, port in
            let client = try await RawClient(port: port)
            try await client.send(input + String(repeating: "more", count: 1000))
            let (head, body) = try await client.receiveResponse()
            #expect(head.status.code == status)
            #expect(head.headers["Content-Type"] == "application/problem+json")
            #expect(head.headers["Connection"] == "close")
            #expect(head.headers["X-Request-Id"] != nil)
            #expect(body.text.contains("\"status\":\(status)"))
            #expect(try await client.receive() == [])
            client.endSending()
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a broken chunk is 400 at the handler and closes")
    func brokenChunk() async throws {
        try await withServer(handler: echo) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n")
            let (head, body) = try await client.receiveResponse()
            #expect(head.status == 400)
            #expect(body.text.contains("chunk"))
            #expect(try await client.receive() == [])
        }
    }

    @Test("turns a handler's errors into problem documents")
    func handlerErrors() async throws {
        struct Secret: Error {}
        let handler: Handler = { request in
            if request.path == "/problem" { throw Problem(409, .conflict, "so") }
            throw Secret()
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET /problem HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse().head.status == 409)
            try await client.send("GET /other HTTP/1.1\r\nHost: h\r\n\r\n")
            let (head, body) = try await client.receiveResponse()
            #expect(head.status == 500)
            #expect(!body.text.contains("Secret"))
        }
    }

    @Test("a response that would split is not sent")
    func splitting() async throws {
        let handler: Handler = { _ in Response(200, headers: ["A": "b\r\nC: d"]) }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            let (head, _) = try await client.receiveResponse()
            #expect(head.status == 500)
            #expect(head.headers["C"] == nil)
        }
    }

    @Test("echoes a well-formed request id and replaces others", arguments: ["a.B_c-1", "bad id", "", "ä"])
    func requestID(_ id: String) async throws {
        let handler: Handler = { request in Response(contentType: "text/plain", Array(request.id.utf8)) }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: \(id)\r\n\r\n")
            let (head, body) = try await client.receiveResponse()
            #expect(head.headers["X-Request-Id"] == body.text)
            #expect((body.text == id) == (id == "a.B_c-1"))
        }
    }

    @Test("believes a trusted proxy about address and scheme, others not", arguments: [true, false])
    func proxies(_ isTrusted: Bool) async throws {
        let handler: Handler = { request in
            Response(contentType: "text/plain", Array("\(request.remoteAddress) \(request.isSecure)".utf8))
        }
        try await withServer(
            configure: { configuration in
                if isTrusted { configuration.trustedProxies = TrustedProxies(["127.0.0.0/8"]) ?? TrustedProxies() }
            },
            handler: handler
        ) { _, port in
            let client = try await RawClient(port: port)
            try await client.send(
                "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6, 9.9.9.9, 127.0.0.2\r\n"
                    + "X-Forwarded-Proto: https\r\n\r\n"
            )
            let expected = isTrusted ? "9.9.9.9 true" : "127.0.0.1 false"
            #expect(try await client.receiveResponse().body.text == expected)
        }
    }

    @Test("past connectionsMax a connection is answered 503 and closed")
    func connectionsMax() async throws {
        try await withServer(configure: { $0.connectionsMax = 2 }, handler: echo) { server, port in
            let first = try await RawClient(port: port)
            let second = try await RawClient(port: port)
            #expect(await eventually { server.openConnections == 2 })
            let third = try await RawClient(port: port)
            let text = try await third.receiveToEnd().text
            #expect(text.hasPrefix("HTTP/1.1 503 "))
            #expect(text.contains("Retry-After: 1\r\n"))
            for client in [first, second] {
                try await client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                #expect(try await client.receiveResponse().head.status == 200)
            }
            #expect(await eventually { server.openConnections == 0 })
            let fourth = try await RawClient(port: port)
            try await fourth.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await fourth.receiveResponse().head.status == 200)
        }
    }
}
