import Testing
import WebSocket

@Suite("Frame encoder (RFC 6455 §5.2)")
struct FrameEncoderTests {
    @Test("writes the examples of §5.7")
    func examples() {
        #expect(FrameEncoder.text("Hello") == [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
        #expect(
            FrameEncoder.text("Hello", maskingKey: 0x37fa_213d)
                == [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        )
        #expect(FrameEncoder.frame(.text, "Hel".utf8, fin: false) == [0x01, 0x03, 0x48, 0x65, 0x6c])
        #expect(FrameEncoder.frame(.continuation, "lo".utf8) == [0x80, 0x02, 0x6c, 0x6f])
        #expect(FrameEncoder.ping(Array("Hello".utf8)) == [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
        #expect(FrameEncoder.pong([]) == [0x8a, 0x00])
    }

    @Test(
        "uses the shortest length form",
        arguments: [
            (0, [0x82, 0]), (125, [0x82, 125]), (126, [0x82, 126, 0, 126]), (65535, [0x82, 126, 0xff, 0xff]),
            (65536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x0102_0304_0506, [0x82, 127, 0, 0, 1, 2, 3, 4, 5, 6]),
        ] as [(Int, [UInt8])]
    )
    func lengths(length: Int, header: [UInt8]) {
        var memory = [UInt8](repeating: 0xee, count: FrameEncoder.headerLengthMax)
        let written = memory.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { FrameEncoder.writeHeader(opcode: .binary, payloadLength: length, into: $0) }
        }
        #expect(written == header.count)
        #expect(FrameEncoder.headerLength(payload: length) == header.count)
        #expect(Array(memory.prefix(header.count)) == header)
        #expect(memory.dropFirst(header.count).allSatisfy { $0 == 0xee })
    }

    @Test("writes close frames with and without code, and cuts a long reason at a character")
    func close() {
        #expect(FrameEncoder.close(nil) == [0x88, 0x00])
        #expect(FrameEncoder.close(.normalClosure) == [0x88, 0x02, 0x03, 0xe8])
        #expect(FrameEncoder.close(.goingAway, reason: "bye") == [0x88, 0x05, 0x03, 0xe9, 0x62, 0x79, 0x65])
        let long = FrameEncoder.close(.goingAway, reason: String(repeating: "客", count: 50))
        #expect(long.count == 2 + 2 + 123)
        let odd = FrameEncoder.close(.goingAway, reason: "a" + String(repeating: "客", count: 50))
        #expect(odd.count == 2 + 2 + 121)
        #expect(String(validating: odd.dropFirst(4), as: UTF8.self) != nil)
    }
}
