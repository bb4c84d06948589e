import HTTP
import Net
import TestSupport
import Testing
import Transport
import WebSocket

@Suite("WebSocket connection: closing, limits, back-pressure", .timeLimit(.minutes(1)))
struct WebSocketConnectionTests {
    /// The connection has ended: the handler was told so once, and the descriptor given back.
    private func expectEnded(_ record: SocketRecord, _ last: String) async {
        #expect(await eventually { record.events.last == last && record.isDescriptorFree }, "\(record.events)")
        #expect(record.events.filter { $0.hasPrefix("closed") }.count == 1)
    }

    // MARK: - Close handshake

    @Test("answers a close frame with its code and ends the stream", arguments: [1000, 1001, 3000, 4999] as [UInt16])
    func peerCloses(_ code: UInt16) async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("hello") + SocketClient.close(code))
            #expect(try await client.receiveText() == "hello")
            #expect(try await client.receiveClose().code == code)
            #expect(try await client.raw.receive() == [])
            client.raw.endSending()
            await expectEnded(record, "closed \(code)")
        }
    }

    @Test("answers a close frame without a code by one without")
    func peerClosesWithoutCode() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.frame(8, []))
            #expect(try await client.receive().payload == [])
            #expect(try await client.raw.receive() == [])
            client.raw.endSending()
            await expectEnded(record, "closed without a code")
        }
    }

    @Test("closes with a code and a reason, drops what follows, and waits for the answer")
    func weClose() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("close") + SocketClient.text("too late"))
            let (code, reason) = try await client.receiveClose()
            #expect(code == 1001)
            #expect(reason == "bye")
            await record.run { _ in }
            #expect(!record.isDescriptorFree)
            try await client.send(SocketClient.text("too late") + SocketClient.close(1001))
            #expect(try await client.raw.receive() == [])
            client.raw.endSending()
            await expectEnded(record, "closed 1001")
            #expect(!record.events.contains("too late"))
        }
    }

    @Test("a peer that never answers a close frame is given up")
    func closeTimeout() async throws {
        let limits = WebSocketConnection.Limits(messageBytesMax: 1024, closeTimeout: .milliseconds(50))
        try await withSocketServer(limits: limits) { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("close"))
            #expect(try await client.receiveClose().code == 1001)
            await expectEnded(record, "closed 1001")
        }
    }

    @Test("an abort inside a callback ends at once")
    func abort() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("abort") + SocketClient.text("after"))
            await expectEnded(record, "closed without a code")
            #expect(record.events.first == "abort")
            #expect(!record.events.contains("after"))
        }
    }

    @Test("a peer that goes away without a close frame", arguments: [true, false])
    func vanishes(_ byReset: Bool) async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("here"))
            #expect(try await client.receiveText() == "here")
            if byReset { try await client.raw.reset() } else { client.raw.endSending() }
            await expectEnded(record, "closed without a code")
        }
    }

    // MARK: - Protocol errors and limits

    private static let broken: [(UInt16, [UInt8])] = [
        (1002, [0x81, 0x01, 0x41]),  // not masked
        (1002, [0xc1, 0x80, 0, 0, 0, 0]),  // a reserved bit
        (1002, SocketClient.frame(0, [65])),  // a continuation of nothing
        (1002, SocketClient.frame(8, [3])),  // half a close code
        (1002, SocketClient.close(1005)),
        (1007, SocketClient.frame(1, [0xff, 0xfe])),
        (1009, [0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]),  // 65,537 bytes announced
    ]

    @Test("a broken frame gets its code, then the end and no reset, though the peer sends on", arguments: 0..<7)
    func protocolError(_ index: Int) async throws {
        let (code, bytes) = Self.broken[index]
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("before") + bytes)
            #expect(try await client.receiveText() == "before")
            let more = [UInt8](repeating: 0x55, count: 100_000)
            for _ in 0..<10 { try await client.send(more) }
            #expect(try await client.receiveClose().code == code)
            #expect(try await client.raw.receive() == [])
            try await client.send(more)
            client.raw.endSending()
            await expectEnded(record, "closed \(code)")
            #expect(record.events.first == "before")
        }
    }

    @Test("takes a message as large as the limit, also in fragments; one byte more is 1009", arguments: [0, 1])
    func messageLimit(_ excess: Int) async throws {
        try await withSocketServer(limits: .init(messageBytesMax: 1000)) { record, port in
            let client = try await SocketClient(port: port)
            let payload = Array("quiet".utf8) + [UInt8](repeating: 65, count: 995 + excess)
            try await client.send(SocketClient.frame(1, Array(payload[..<600]), isFinal: false))
            try await client.send(SocketClient.frame(0, Array(payload[600...])) + SocketClient.text("end"))
            if excess == 0 {
                #expect(try await client.receiveText() == "end")
                #expect(record.events.first?.utf8.count == 1000)
            } else {
                #expect(try await client.receiveClose().code == 1009)
            }
        }
    }

    @Test("a ping is answered with its payload, also between fragments; pongs are told")
    func pings() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.frame(1, [104], isFinal: false) + SocketClient.frame(9, [1, 2, 3]))
            let pong = try await client.receive()
            #expect(pong.opcode == 10)
            #expect(pong.payload == [1, 2, 3])
            try await client.send(SocketClient.frame(10, [55]) + SocketClient.frame(0, [105]))
            #expect(try await client.receiveText() == "hi")
            #expect(record.events == ["pong 7", "hi"])
        }
    }

    // MARK: - Back-pressure

    @Test("paused, it takes nothing, not even what was read; resumed, all in order, frames split anywhere")
    func pause() async throws {
        let tail = SocketClient.text("two") + SocketClient.text("three") + SocketClient.frame(9, [9])
        for split in 0...tail.count {
            try await withSocketServer { record, port in
                let early = SocketClient.text("pause") + tail[..<split]
                let client = try await SocketClient(port: port, early: early)
                #expect(await eventually { record.events == ["pause"] })
                try await client.send(Array(tail[split...]))
                await record.run { _ in }
                #expect(record.events == ["pause"])
                await record.run { $0.resumeReading() }
                #expect(try await client.receiveText() == "two")
                #expect(try await client.receiveText() == "three")
                #expect(try await client.receive().opcode == 10)
            }
        }
    }

    @Test("a pause that ends inside the callback changes nothing")
    func pauseAndResume() async throws {
        try await withSocketServer { _, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("pause and resume") + SocketClient.text("next"))
            #expect(try await client.receiveText() == "next")
        }
    }

    @Test("closed while paused, it reads on to the peer's answer and takes no message any more")
    func closeWhilePaused() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("pause and close") + SocketClient.text("held"))
            #expect(try await client.receiveClose().code == 1001)
            try await client.send(SocketClient.close(1001))
            #expect(try await client.raw.receive() == [])
            client.raw.endSending()
            await expectEnded(record, "closed 1001")
            #expect(!record.events.contains("held"))
        }
    }

    @Test("a peer that resets while paused is noticed")
    func resetWhilePaused() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("pause"))
            #expect(await eventually { record.events == ["pause"] })
            try await client.raw.reset()
            await expectEnded(record, "closed without a code")
        }
    }

    @Test("a peer that ends its stream while paused is still heard out")
    func endWhilePaused() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            try await client.send(SocketClient.text("pause") + SocketClient.text("quiet"))
            client.raw.endSending()
            #expect(await eventually { record.events == ["pause"] })
            await record.run { $0.resumeReading() }
            await expectEnded(record, "closed without a code")
            #expect(record.events == ["pause", "quiet", "closed without a code"])
        }
    }

    @Test("a peer that does not read is closed with 1013 at the limit, and gets all that was queued before")
    func outboundLimit() async throws {
        let limits = WebSocketConnection.Limits(messageBytesMax: 1024, outboundBytesMax: 4 << 20)
        try await withSocketServer(limits: limits) { record, port in
            let client = try await SocketClient(port: port, receiveBufferBytes: 4096)
            try await client.send(SocketClient.text("flood"))
            #expect(await eventually { record.events == ["flood"] })
            var count = 0
            while true {
                let (opcode, payload) = try await client.receive()
                if opcode == 8 {
                    #expect(payload.prefix(2).elementsEqual([UInt8(1013 >> 8), UInt8(1013 & 0xff)]))
                    break
                }
                #expect(payload.count == 60_000)
                count += 1
            }
            // Nothing was written before the turn's end, so the limit alone decides how many there were.
            #expect(count == (4 << 20) / 60_004)
            try await client.send(SocketClient.close(1013))
            #expect(try await client.raw.receive() == [])
            client.raw.endSending()
            await expectEnded(record, "closed 1013")
        }
    }

    @Test("one that never reads at all is given up after the close time-out")
    func neverReads() async throws {
        let limits = WebSocketConnection.Limits(
            messageBytesMax: 1024,
            outboundBytesMax: 16 << 20,
            closeTimeout: .milliseconds(50)
        )
        try await withSocketServer(limits: limits) { record, port in
            let client = try await SocketClient(port: port, receiveBufferBytes: 4096)
            try await client.send(SocketClient.text("flood"))
            await expectEnded(record, "closed 1013")
            _ = client
        }
    }

    @Test("tells when all is written, once for each time it is asked")
    func drained() async throws {
        try await withSocketServer { record, port in
            let client = try await SocketClient(port: port)
            for _ in 0..<2 {
                try await client.send(SocketClient.text("drain"))
                #expect(try await client.receiveText() == "last")
            }
            #expect(await eventually { record.events == ["drain", "drained", "drain", "drained"] })
            try await client.send(SocketClient.text("more"))
            #expect(try await client.receiveText() == "more")
            #expect(record.events.filter { $0 == "drained" }.count == 2)
        }
    }
}
