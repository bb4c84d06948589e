import Testing
import WebSocket

@Suite("Message decoder (RFC 6455 §5)")
struct MessageDecoderTests {
    static let key: UInt32 = 0x37fa_213d

    // MARK: - Vectors

    static let vectors: [(bytes: [UInt8], role: MessageDecoder.Role, message: Received)] = [
        ([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], .client, .text("Hello")),
        ([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], .server, .text("Hello")),
        ([0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f], .client, .text("Hello")),
        ([0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f], .client, .ping(Array("Hello".utf8))),
        (
            [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58], .server,
            .pong(Array("Hello".utf8))
        ),
        (
            [0x82, 0x7e, 0x01, 0x00] + [UInt8](repeating: 7, count: 256), .client,
            .binary([UInt8](repeating: 7, count: 256))
        ),
        (
            [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0] + [UInt8](repeating: 7, count: 65536), .client,
            .binary([UInt8](repeating: 7, count: 65536))
        ),
    ]

    @Test("decodes the examples of §5.7", arguments: vectors)
    func examples(vector: (bytes: [UInt8], role: MessageDecoder.Role, message: Received)) {
        #expect(Outcome(vector.bytes, role: vector.role).messages == [vector.message])
        #expect(Outcome(bytewise: vector.bytes, role: vector.role).messages == [vector.message])
    }

    // MARK: - Splits

    /// Every kind of frame once: fragments with control frames between them, empty frames, all three length forms.
    static let stream: (bytes: [UInt8], messages: [Received]) = {
        let long = String(repeating: "长消息 long ", count: 20)
        let fragments = Array("fragmentiert: grün 😀 密码".utf8)
        var bytes = FrameEncoder.text("Hello, 客服", maskingKey: key)
        bytes += FrameEncoder.text("", maskingKey: 0)
        bytes += FrameEncoder.frame(.text, fragments[..<17], fin: false, maskingKey: 0x0102_0304)
        bytes += FrameEncoder.ping(Array("are you there".utf8), maskingKey: 0xffee_ddcc)
        bytes += FrameEncoder.frame(.continuation, [], fin: false, maskingKey: key)
        bytes += FrameEncoder.frame(.continuation, fragments[17..<25], fin: false, maskingKey: 0x8899_aabb)
        bytes += FrameEncoder.pong([], maskingKey: key)
        bytes += FrameEncoder.frame(.continuation, fragments[25...], maskingKey: key)
        bytes += FrameEncoder.text(long, maskingKey: 0x1122_3344)
        bytes += FrameEncoder.frame(.binary, 0...255, maskingKey: 0xa5a5_5a5a)
        bytes += FrameEncoder.frame(.binary, [], fin: false, maskingKey: key)
        bytes += FrameEncoder.frame(.continuation, [], maskingKey: key)
        bytes += FrameEncoder.close(.goingAway, reason: "再见", maskingKey: key)
        return (
            bytes,
            [
                .text("Hello, 客服"), .text(""), .ping(Array("are you there".utf8)), .pong([]),
                .text("fragmentiert: grün 😀 密码"), .text(long), .binary(Array(0...255)), .binary([]),
                .close(1001, "再见"),
            ]
        )
    }()

    @Test("gives the same messages whole, one byte at a time and at every split")
    func splits() {
        let (bytes, messages) = Self.stream
        #expect(Outcome(bytes).messages == messages)
        #expect(Outcome(bytewise: bytes).messages == messages)
        for split in 0...bytes.count {
            let outcome = Outcome(bytes, splitAt: split)
            #expect(outcome.error == nil && outcome.messages == messages, "split at \(split)")
        }
        for size in 2...40 {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { start in
                Array(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(Outcome(pieces).messages == messages, "pieces of \(size)")
        }
    }

    @Test("unmasks every length with every split and key position")
    func unmasking() {
        for length in 0...40 {
            let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
            let frame = FrameEncoder.frame(.binary, payload, maskingKey: 0x0180_ff7e)
            for split in 0...frame.count {
                #expect(Outcome(frame, splitAt: split).messages == [.binary(payload)])
            }
        }
    }

    @Test("returns a whole frame in place, and holds nothing")
    func inPlace() throws {
        var decoder = MessageDecoder(role: .server, messageBytesMax: 1000)
        var bytes = FrameEncoder.text("in place", maskingKey: Self.key)
        try bytes.withUnsafeMutableBytes { memory in
            var input = memory
            guard case .text(let text)? = try decoder.next(&input) else {
                Issue.record("no text")
                return
            }
            #expect(text.baseAddress == memory.baseAddress.map { UnsafeRawPointer($0) + 6 })
            #expect(text.elementsEqual("in place".utf8))
            #expect(input.isEmpty)
            #expect(try decoder.next(&input) == nil)
            #expect(decoder.heldBytes == 0)
        }
    }

    @Test("holds memory for a partial message only, and little for a large promise")
    func memory() throws {
        var decoder = MessageDecoder(role: .server, messageBytesMax: 10_000_000)
        let payload = [UInt8](repeating: 1, count: 5_000_000)
        let frame = FrameEncoder.frame(.binary, payload, maskingKey: Self.key)
        var bytes = frame
        try bytes.withUnsafeMutableBytes { memory in
            var start = 0
            for end in [14, 15, 1014, 100_014, frame.count] {
                var input = UnsafeMutableRawBufferPointer(rebasing: memory[start..<end])
                let message = try decoder.next(&input)
                #expect((message != nil) == (end == frame.count))
                #expect(decoder.heldBytes <= max(256, (end - 14) * 2))
                start = end
            }
            var input = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            #expect(try decoder.next(&input) == nil)
            #expect(decoder.heldBytes == 0)
        }
        #expect(MemoryLayout<MessageDecoder>.size <= 80)
    }

    @Test("is inert after a close frame: later input is dropped")
    func afterClose() {
        let bytes = FrameEncoder.close(.normalClosure, maskingKey: 1) + FrameEncoder.text("late", maskingKey: 1)
        let expected: [Received] = [.close(1000, "")]
        #expect(Outcome(bytes).messages == expected)
        #expect(Outcome(bytewise: bytes + [0xff, 0xff]).messages == expected)
        #expect(Outcome(bytewise: bytes + [0xff, 0xff]).error == nil)
    }

    @Test("a close frame ends a fragmented message too", arguments: [nil, CloseCode.goingAway])
    func closeInsideFragments(code: CloseCode?) {
        let start = FrameEncoder.frame(.text, "abc".utf8, fin: false, maskingKey: 1)
        let bytes =
            start + FrameEncoder.close(code, maskingKey: 2) + FrameEncoder.frame(.continuation, [], maskingKey: 3)
        for split in 0...bytes.count {
            #expect(Outcome(bytes, splitAt: split).messages == [.close(code?.rawValue, "")])
        }
    }

    // MARK: - Limits

    @Test(
        "takes a message of exactly the limit, and refuses one byte more by its header",
        arguments: [0, 1, 125, 126, 70_000]
    )
    func limit(max: Int) {
        let payload = [UInt8](repeating: 9, count: max)
        let exact = FrameEncoder.frame(.binary, payload, maskingKey: Self.key)
        let over = FrameEncoder.frame(.binary, payload + [9], maskingKey: Self.key)
        #expect(Outcome(exact, messageBytesMax: max).messages == [.binary(payload)])
        #expect(Outcome(exact, splitAt: exact.count / 2, messageBytesMax: max).messages == [.binary(payload)])
        let header = Array(over.prefix(over.count - max - 1))
        #expect(Outcome(header, messageBytesMax: max).error == .tooLarge)
        #expect(Outcome(bytewise: header, messageBytesMax: max).error == .tooLarge)
        #expect(Outcome(Array(header.dropLast()), messageBytesMax: max).error == nil)
    }

    @Test("counts the limit over all fragments, and not control frames")
    func fragmentLimit() {
        let first = FrameEncoder.frame(.binary, [UInt8](repeating: 1, count: 60), fin: false, maskingKey: 5)
        let ping = FrameEncoder.ping([UInt8](repeating: 2, count: 125), maskingKey: 5)
        let exact = FrameEncoder.frame(.continuation, [UInt8](repeating: 3, count: 40), maskingKey: 5)
        let over = FrameEncoder.frame(.continuation, [UInt8](repeating: 3, count: 41), maskingKey: 5)
        for bytes in [first + ping + exact, first + exact] {
            #expect(Outcome(bytes, messageBytesMax: 100).error == nil)
            #expect(Outcome(bytewise: bytes, messageBytesMax: 100).messages.count == (bytes.count > 200 ? 2 : 1))
        }
        #expect(Outcome(first + ping + over, messageBytesMax: 100).error == .tooLarge)
        #expect(Outcome(bytewise: first + over, messageBytesMax: 100).error == .tooLarge)
        #expect(Outcome(first + ping + exact + first + exact, messageBytesMax: 100).messages.count == 3)
        #expect(Outcome(bytewise: first + ping + exact, messageBytesMax: 100).heldBytesMax <= 100 + 125)
    }

    @Test("takes the largest length there is for what it is: too large")
    func hugeLength() {
        let header: [UInt8] = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]
        #expect(Outcome(header, messageBytesMax: MessageDecoder.messageBytesMaxLimit).error == .tooLarge)
        let start = FrameEncoder.frame(.binary, [1], fin: false, maskingKey: 1)
        #expect(Outcome(start + [0x80] + header.dropFirst(), messageBytesMax: 10).error == .tooLarge)
    }
}
