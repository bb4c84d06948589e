import Core
import Glibc
import HTTP
import Net
import Synchronization
import TestSupport
import Testing
import Transport

/// Lets a test hold handlers until it says so.
final class Gate: Sendable {
    private let state = Mutex((isOpen: false, waiters: [CheckedContinuation<Void, Never>]()))

    func wait() async {
        await withCheckedContinuation { waiter in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(waiter) }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
    }

    func open() {
        let waiters = state.withLock { state in
            defer { state = (true, []) }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

@Suite("HTTP server: bodies", .timeLimit(.minutes(5)))
struct HTTPServerBodyTests {
    @Test("streams a large upload to the handler, whole and in order")
    func upload() async throws {
        let handler: Handler = { request in
            let sum = Mutex((count: 0, check: UInt64(0)))
            try await request.body.forEachChunk { piece in
                sum.withLock { sum in
                    sum.count += piece.count
                    for byte in piece { sum.check = sum.check &* 31 &+ UInt64(byte) }
                }
            }
            let (count, check) = sum.withLock { $0 }
            return Response(contentType: "text/plain", Array("\(count) \(check)".utf8))
        }
        let body = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
        var check: UInt64 = 0
        for byte in body { check = check &* 31 &+ UInt64(byte) }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n")
            try await client.send(body)
            #expect(try await client.receiveResponse().body.text == "\(body.count) \(check)")
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            var chunked: [UInt8] = []
            for start in stride(from: 0, to: body.count, by: 777) {
                MessageSerializer.appendChunk(Array(body[start..<min(start + 777, body.count)]), to: &chunked)
            }
            try await client.send(chunked + MessageSerializer.lastChunk)
            #expect(try await client.receiveResponse().body.text == "\(body.count) \(check)")
        }
    }

    @Test("stops reading while the handler does not ask, and goes on when it does")
    func backPressure() async throws {
        let gate = Gate()
        let handler: Handler = { request in
            await gate.wait()
            let count = Mutex(0)
            try await request.body.forEachChunk { piece in count.withLock { $0 += piece.count } }
            return Response(contentType: "text/plain", Array(String(count.withLock { $0 }).utf8))
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            let size = 64 << 20
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n")
            // What is out when nothing more is taken fills the two sockets' buffers.
            let content = [UInt8](repeating: 1, count: size)
            let sent = try await client.sendUntilStalled(content, patience: .milliseconds(200))
            #expect(sent < 32 << 20)
            gate.open()
            try await client.send(Array(content[sent...]))
            #expect(try await client.receiveResponse().body.text == String(size))
        }
    }

    @Test("asks for the body with 100 only when the handler wants it")
    func expectContinue() async throws {
        let handler: Handler = { request in
            request.path == "/no" ? Response(403) : try await echo(request)
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST /yes HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            let interim = "HTTP/1.1 100 Continue\r\n\r\n"
            #expect(try await client.receive(exactly: interim.utf8.count).text == interim)
            try await client.send("hi")
            #expect(try await client.receiveResponse().body.text == "POST /yes hi")
            try await client.send("POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            let text = try await client.receiveToEnd().text
            #expect(text.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(text.contains("Connection: close\r\n"))
        }
    }

    @Test("drops a short unread body and keeps the connection; closes on a long one")
    func unreadBody() async throws {
        try await withServer(handler: { _ in Response(200) }) { _, port in
            let client = try await RawClient(port: port)
            for _ in 0..<2 {
                try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n")
                #expect(try await client.receiveResponse().head.status == 200)
                try await client.send([UInt8](repeating: 0, count: 5000))
                try await client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
                #expect(try await client.receiveResponse().head.status == 200)
                try await client.send("1\r\nx\r\n0\r\n\r\n")
            }
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
            try await client.send([UInt8](repeating: 0, count: 50_000))
            let text = try await client.receiveToEnd().text
            #expect(text.contains("Connection: close\r\n"))
        }
    }

    @Test("an announced or actual body over the limit is 413", arguments: [true, false])
    func bodyLimit(_ isAnnounced: Bool) async throws {
        try await withServer(configure: { $0.bodyBytesMax = 1000 }, handler: echo) { _, port in
            for (size, status) in [(1000, 200), (1001, 413)] {
                let client = try await RawClient(port: port)
                var input = "POST / HTTP/1.1\r\nHost: h\r\n"
                let body = String(repeating: "x", count: size)
                if isAnnounced {
                    input += "Content-Length: \(size)\r\n\r\n\(body)"
                } else {
                    input += "Transfer-Encoding: chunked\r\n\r\n\(String(size, radix: 16))\r\n\(body)\r\n0\r\n\r\n"
                }
                try await client.send(input)
                #expect(try await client.receiveResponse().head.status.code == status)
            }
        }
    }

    @Test("streams a response, asking for the next piece only when the socket took the last")
    func streamedResponse() async throws {
        let made = Mutex(0)
        let pieces = 512
        let handler: Handler = { request in
            let number = Mutex(0)
            return Response(
                200,
                body: .stream(length: request.path == "/known" ? pieces << 16 : nil) {
                    let next = number.withLock { number -> Int in
                        number += 1
                        return number
                    }
                    guard next <= pieces else { return nil }
                    made.withLock { $0 += 1 }
                    return [UInt8](repeating: UInt8(truncatingIfNeeded: next), count: 1 << 16)
                }
            )
        }
        try await withServer(handler: handler) { _, port in
            for path in ["/known", "/unknown"] {
                made.withLock { $0 = 0 }
                let client = try await RawClient(port: port, receiveBufferBytes: 16_384)
                try await client.send("GET \(path) HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                let first = try await client.receive(upTo: 1)
                #expect(await eventually { made.withLock { $0 } > 1 })
                #expect(made.withLock { $0 } < pieces)
                var parser = ResponseParser()
                parser.begin(.get)
                parser.feed(first)
                var count = 0
                var isComplete = false
                while !isComplete {
                    while let event = try parser.next() {
                        if case .body(let bytes) = event { count += bytes.count }
                        if event == .end { isComplete = true }
                    }
                    if isComplete { break }
                    let piece = try await client.receive()
                    try #require(!piece.isEmpty)
                    parser.feed(piece)
                }
                #expect(count == pieces << 16)
            }
        }
    }

    @Test("bodies are read and made from any executor")
    func otherExecutors() async throws {
        final class Pieces: Sendable {
            let waiting = Mutex<[[UInt8]]>([])
        }
        // Detached tasks run off the loop; an actor's code would run on it, as on any task executor.
        let handler: Handler = { request in
            let pieces = Pieces()
            try await Task.detached {
                try await request.body.forEachChunk { piece in pieces.waiting.withLock { $0.append(piece) } }
            }.value
            return Response(
                200,
                body: .stream(length: request.body.announcedLength) {
                    await Task.detached { pieces.waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() } }.value
                }
            )
        }
        try await withServer(handler: handler) { _, port in
            let client = try await RawClient(port: port)
            let body = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 7) }
            for _ in 0..<3 {
                try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n")
                try await client.send(body)
                #expect(try await client.receiveResponse().body == body)
            }
        }
    }

    @Test("200 idle connections cost a descriptor each, and give it back when the client leaves")
    func idleConnections() async throws {
        try await withServer(handler: echo) { server, port in
            var clients: [RawClient] = []
            for _ in 0..<200 {
                let client = try await RawClient(port: port)
                try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                _ = try await client.receiveResponse()
                clients.append(client)
            }
            #expect(server.openConnections == 200)
            clients = []
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a stream that fails cuts the connection, so that nobody takes it for whole")
    func brokenStream() async throws {
        struct Broken: Error {}
        let handler: Handler = { request in
            let isFirst = Mutex(true)
            return Response(
                200,
                body: .stream(length: request.path == "/short" ? 100 : nil) {
                    let first = isFirst.withLock { isFirst -> Bool in
                        defer { isFirst = false }
                        return isFirst
                    }
                    if first { return Array("piece".utf8) }
                    if request.path == "/short" { return nil }
                    throw Broken()
                }
            )
        }
        try await withServer(handler: handler) { server, port in
            for path in ["/short", "/throws"] {
                let client = try await RawClient(port: port)
                try await client.send("GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n")
                await #expect(throws: HTTPParseError.truncated) { try await client.receiveResponse() }
            }
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("sends files, whole and in part, and closes their descriptors in all outcomes")
    func files() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("file")
        let size = 5 << 20
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 13 ^ $0 >> 11) }
        let file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        var written = 0
        while written < size { written += max(write(file, Array(content[written...]), size - written), 0) }
        close(file)
        let handler: Handler = { request in
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            let part = request.path == "/part"
            return Response(
                part ? 206 : 200,
                body: .file(descriptor: descriptor, offset: part ? 1000 : 0, length: part ? 3000 : size)
            )
        }
        func openFiles() -> Int { openDescriptors(of: path) }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET /part HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse().body == Array(content[1000..<4000]))
            try await client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse(to: .head).head.headers["Content-Length"] == String(size))
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            #expect(try await client.receiveToEnd().suffix(size) == content[...])
            let leaver = try await RawClient(port: port, receiveBufferBytes: 4096)
            try await leaver.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await leaver.receive(upTo: 100)
            try await leaver.reset()
            #expect(await eventually { server.openConnections == 0 && openFiles() == 0 })
        }
    }

    /// How many descriptors of this process refer to `path`.
    private func openDescriptors(of path: String) -> Int {
        (0..<1024).count { descriptor in
            var target = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/\(descriptor)", &target, target.count)
            return count > 0 && target[..<count].map(UInt8.init(bitPattern:)).text == path
        }
    }
}
