import Core
import Dispatch
import Glibc
import HTTP
import Net
import Synchronization
import TestSupport
import Testing
import Transport

@Suite("HTTP server: time-outs, drain, disconnects, upgrades", .timeLimit(.minutes(5)))
struct HTTPServerLifeTests {
    @Test("a head that comes too slowly is 408; silence is just closed")
    func headerTimeout() async throws {
        let loops = try EventLoopGroup(count: 1)
        try await withServer(on: loops, configure: { $0.headerTimeout = .milliseconds(50) }, handler: echo) { _, port in
            // The loop stands still until the bytes are there, or a busy machine makes a slow client a silent one.
            let mayTurn = DispatchSemaphore(value: 0)
            loops.next().submit { mayTurn.wait() }
            defer { mayTurn.signal() }
            let slow = try await RawClient(port: port)
            try await slow.send("GET / HTTP/1.1\r\nHo")
            mayTurn.signal()
            #expect(try await slow.receiveToEnd().text.hasPrefix("HTTP/1.1 408 "))
            let silent = try await RawClient(port: port)
            #expect(try await silent.receiveToEnd() == [])
        }
    }

    @Test("a body that stops coming is 408")
    func bodyTimeout() async throws {
        try await withServer(configure: { $0.bodyIdleTimeout = .milliseconds(50) }, handler: echo) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            let (head, body) = try await client.receiveResponse()
            #expect(head.status == 408)
            #expect(head.headers["Connection"] == "close")
            #expect(body.text.contains("request_timeout"))
        }
    }

    @Test("an idle connection is closed after the keep-alive time")
    func keepAliveTimeout() async throws {
        try await withServer(configure: { $0.keepAliveTimeout = .milliseconds(50) }, handler: echo) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receiveResponse().head.status == 200)
            #expect(try await client.receive() == [])
        }
    }

    @Test("a client that does not read its response is cut off")
    func writeStall() async throws {
        let handler: Handler = { _ in Response(contentType: "a/b", [UInt8](repeating: 0, count: 32 << 20)) }
        try await withServer(configure: { $0.writeStallTimeout = .milliseconds(50) }, handler: handler) {
            server,
            port in
            let client = try await RawClient(port: port, receiveBufferBytes: 4096)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.receive(upTo: 1).count == 1)
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a client that goes away cancels its handler", arguments: [true, false])
    func disconnect(_ byReset: Bool) async throws {
        let started = Gate()
        let cancelled = Gate()
        let handler: Handler = { _ in
            started.open()
            await untilCancelled()
            cancelled.open()
            throw CancellationError()
        }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await started.wait()
            if byReset { try await client.reset() } else { client.endSending() }
            await cancelled.wait()
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a client that goes away in its body ends the handler's wait")
    func disconnectInBody() async throws {
        let failed = Gate()
        let handler: Handler = { request in
            do {
                return try await echo(request)
            } catch {
                failed.open()
                throw error
            }
        }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
            try await client.reset()
            await failed.wait()
            #expect(await eventually { server.openConnections == 0 })
        }
    }

    @Test("a client that has only ended its sending is still answered")
    func halfClose() async throws {
        try await withServer(handler: echo) { _, port in
            let client = try await RawClient(port: port)
            try await client.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
            client.endSending()
            #expect(try await client.receiveResponse().body.text == "GET /1 ")
            #expect(try await client.receiveResponse().body.text == "GET /2 ")
            #expect(try await client.receive() == [])
        }
    }

    @Test("drain closes idle connections, answers the others with close, and refuses new ones")
    func drain() async throws {
        let started = Gate()
        let gate = Gate()
        let handler: Handler = { request in
            if request.path == "/slow" {
                started.open()
                await gate.wait()
            }
            return Response(contentType: "text/plain", Array("done".utf8))
        }
        try await withServer(handler: handler) { server, port in
            let idle = try await RawClient(port: port)
            try await idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await idle.receiveResponse()
            let busy = try await RawClient(port: port)
            try await busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            await started.wait()
            async let first: Void = server.drain(grace: .seconds(30))
            async let second: Void = server.drain(grace: .seconds(30))
            #expect(try await idle.receive() == [])
            await #expect(throws: RawClient.Failure.notConnected(ECONNREFUSED)) { try await RawClient(port: port) }
            #expect(server.openConnections == 1)
            gate.open()
            let (head, body) = try await busy.receiveResponse()
            #expect(body.text == "done")
            #expect(head.headers["Connection"] == "close")
            _ = await (first, second)
            #expect(server.openConnections == 0)
        }
    }

    @Test("drain closes what is left after the grace")
    func drainGrace() async throws {
        let started = Gate()
        let handler: Handler = { _ in
            started.open()
            await untilCancelled()
            return Response(200)
        }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await started.wait()
            await server.drain(grace: .milliseconds(20))
            #expect(server.openConnections == 0)
            #expect(try await client.receive() == [])
        }
    }

    @Test("hands an upgraded connection over with what came behind the request")
    func upgrade() async throws {
        let handler: Handler = { _ in
            let upgrade = StreamUpgrade { connection in
                // A stand-in for the new protocol: one blocking-free write of all that was handed over.
                let bytes = connection.pendingOutput + connection.received
                _ = bytes.withUnsafeBytes { Socket.write(connection.descriptor, $0) }
                close(connection.descriptor)
            }
            return Response(101, headers: ["Upgrade": "test", "Connection": "Upgrade"], body: .upgrade(upgrade))
        }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\nearly")
            let text = try await client.receiveToEnd().text
            #expect(text.hasPrefix("HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n"))
            #expect(text.hasSuffix("\r\n\r\nearly"))
            #expect(server.openConnections == 0)
        }
    }

    @Test("an upgrade whose client has gone is abandoned")
    func abandonedUpgrade() async throws {
        let started = Gate()
        let gate = Gate()
        let abandoned = Gate()
        let handler: Handler = { _ in
            started.open()
            await gate.wait()
            let upgrade = StreamUpgrade(take: { close($0.descriptor) }, abandoned: { abandoned.open() })
            return Response(101, headers: ["Upgrade": "test"], body: .upgrade(upgrade))
        }
        try await withServer(handler: handler) { server, port in
            let client = try await RawClient(port: port)
            try await client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await started.wait()
            try await client.reset()
            #expect(await eventually { server.openConnections == 0 })
            gate.open()
            await abandoned.wait()
        }
    }
}
