import TestSupport
import Testing
import WebSocket

@Suite("Random streams")
struct RandomStreamTests {
    @Test("gives back what was sent, however it was fragmented and cut")
    func roundTrip() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<150 {
            let (bytes, messages) = Self.makeStream(&generator)
            #expect(ReferenceDecoder(bytes).messages == messages, "seed \(seed)")
            let outcome = Outcome(Self.cut(bytes, &generator))
            #expect(outcome.error == nil && outcome.messages == messages, "seed \(seed)")
        }
    }

    @Test("makes the same of damaged streams as a plain second decoder, however they are cut")
    func damaged() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var failures = 0
        for _ in 0..<1000 {
            var (bytes, _) = Self.makeStream(&generator)
            guard let index = bytes.indices.randomElement(using: &generator) else { continue }
            bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
            // Lengths up to the reference's limit are taken.
            let whole = Outcome(bytes, messageBytesMax: (1 << 20) - 1)
            let pieces = Outcome(Self.cut(bytes, &generator), messageBytesMax: (1 << 20) - 1)
            #expect(whole == pieces, "seed \(seed)")
            let reference = ReferenceDecoder(bytes)
            if whole.error == .invalidUTF8 || whole.error == .tooLarge {
                // Found earlier than by the reference, which looks at whole frames and messages.
                #expect(reference.messages.starts(with: whole.messages), "seed \(seed)")
            } else {
                #expect(reference.messages == whole.messages, "seed \(seed)")
                #expect(reference.hasFailed == (whole.error != nil), "seed \(seed)")
            }
            if whole.error != nil { failures += 1 }
        }
        #expect(failures > 100)
    }

    // MARK: - Generation

    private static let texts = ["", "a", "hello", "客服在线", "grün 😀", "{\"type\":\"Chat\",\"content\":\"你好\"}"]

    private static func makeStream(_ generator: inout SeededGenerator) -> (bytes: [UInt8], messages: [Received]) {
        var bytes: [UInt8] = []
        var messages: [Received] = []
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
            let isText = Bool.random(using: &generator)
            let repeats = [1, 1, 1, 3, 30, 400].randomElement(using: &generator) ?? 1
            let text = String(repeating: texts.randomElement(using: &generator) ?? "", count: repeats)
            let payload = isText ? Array(text.utf8) : text.utf8.map { $0 &* 31 }
            var start = 0
            var opcode: Opcode = isText ? .text : .binary
            while Int.random(in: 0..<3, using: &generator) == 0 {
                let end = Int.random(in: start...payload.count, using: &generator)
                bytes += FrameEncoder.frame(
                    opcode,
                    payload[start..<end],
                    fin: false,
                    maskingKey: UInt32.random(in: 0...UInt32.max, using: &generator)
                )
                opcode = .continuation
                start = end
                appendControl(&bytes, &messages, &generator)
            }
            let key = UInt32.random(in: 0...UInt32.max, using: &generator)
            bytes += FrameEncoder.frame(opcode, payload[start...], maskingKey: key)
            messages.append(isText ? .text(text) : .binary(payload))
            appendControl(&bytes, &messages, &generator)
        }
        return (bytes, messages)
    }

    private static func appendControl(
        _ bytes: inout [UInt8],
        _ messages: inout [Received],
        _ generator: inout SeededGenerator
    ) {
        guard Int.random(in: 0..<3, using: &generator) == 0 else { return }
        let length = Int.random(in: 0...125, using: &generator)
        let payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let key = UInt32.random(in: 0...UInt32.max, using: &generator)
        if Bool.random(using: &generator) {
            bytes += FrameEncoder.ping(payload, maskingKey: key)
            messages.append(.ping(payload))
        } else {
            bytes += FrameEncoder.pong(payload, maskingKey: key)
            messages.append(.pong(payload))
        }
    }

    private static func cut(_ bytes: [UInt8], _ generator: inout SeededGenerator) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        let most = [1, 3, 20, 200, 5000].randomElement(using: &generator) ?? 1
        while !rest.isEmpty {
            let length = min(rest.count, Int.random(in: 0...most, using: &generator))
            pieces.append(Array(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return pieces
    }
}
