import TestSupport
import Testing
import WebSocket

@Suite("UTF-8 validator (RFC 3629)")
struct UTF8ValidatorTests {
    /// After Markus Kuhn's stress test: first and last of each length, lonely bytes, cut, overlong, surrogates.
    static let table: [[UInt8]] = [
        [0x00], [0x7f], [0xc2, 0x80], [0xdf, 0xbf], [0xe0, 0xa0, 0x80], [0xef, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80],
        [0xf4, 0x8f, 0xbf, 0xbf], [0xed, 0x9f, 0xbf], [0xee, 0x80, 0x80], [0xef, 0xbf, 0xbd], [0xef, 0xbf, 0xbe],
        [0xf4, 0x90, 0x80, 0x80], [0xf7, 0xbf, 0xbf, 0xbf], [0xf8, 0x88, 0x80, 0x80, 0x80],
        [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80], [0xfe], [0xff], [0xfe, 0xfe, 0xff, 0xff],
        [0x80], [0xbf], [0x80, 0xbf, 0x80], [0xc0, 0x20], [0xdf, 0x20], [0xe0, 0x20], [0xef, 0x20], [0xf0, 0x20],
        [0xc3], [0xe0, 0xa0], [0xe4, 0xbd], [0xf0, 0x90, 0x80], [0xf4, 0x8f], [0xef, 0xbf], [0xe4, 0xbd, 0xc3],
        [0xc0, 0xaf], [0xe0, 0x80, 0xaf], [0xf0, 0x80, 0x80, 0xaf], [0xc1, 0xbf], [0xe0, 0x9f, 0xbf],
        [0xf0, 0x8f, 0xbf, 0xbf], [0xc0, 0x80], [0xe0, 0x80, 0x80],
        [0xed, 0xa0, 0x80], [0xed, 0xad, 0xbf], [0xed, 0xb0, 0x80], [0xed, 0xbf, 0xbf],
        [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80],
    ]

    @Test("agrees with the standard library in every surrounding and split", arguments: table)
    func malformed(sequence: [UInt8]) {
        for before in ["", "a", "ab", "abc", "1234567", "12345678", "客服", "é"] {
            for after in ["", "z", "123456789", "客服"] {
                let bytes = Array(before.utf8) + sequence + Array(after.utf8)
                Self.check(bytes)
            }
        }
    }

    @Test("agrees on every one of two bytes, and every three that begin a long sequence")
    func exhaustive() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                Self.checkWhole([first, second])
                Self.checkWhole([first, second, 0x80, 0x61])
                Self.checkWhole([first, second, 0x80, 0x80])
            }
        }
    }

    @Test("agrees on random mixtures")
    func random() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let pieces: [[UInt8]] = Self.table + [Array("客".utf8), Array("服务".utf8), Array("😀".utf8), Array("hello".utf8)]
        for _ in 0..<3000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                // Mostly the valid ones, so that long valid texts come up.
                let isValid = Int.random(in: 0..<8, using: &generator) > 0
                bytes +=
                    (isValid ? pieces.suffix(4) + pieces.prefix(12) : pieces[...]).randomElement(using: &generator)
                    ?? []
            }
            guard Self.agree(bytes) else {
                Issue.record("seed \(seed): \(bytes)")
                return
            }
        }
    }

    @Test(
        "refuses at the first byte that cannot be right",
        arguments: [
            ([0xc0], 1), ([0xe0, 0x9f], 2), ([0xed, 0xa0], 2), ([0xf0, 0x8f], 2), ([0xf4, 0x90], 2), ([0xf5], 1),
            ([0xe4, 0xbd, 0x41], 3), ([0x61, 0x80], 2),
        ] as [([UInt8], Int)]
    )
    func earliest(bytes: [UInt8], count: Int) {
        var validator = UTF8Validator()
        for (index, byte) in bytes.enumerated() {
            let isRight = [byte].withUnsafeBytes { validator.feed($0) }
            #expect(isRight == (index + 1 < count))
        }
    }

    private static func check(_ bytes: [UInt8]) {
        #expect(agree(bytes), "\(bytes)")
    }

    private static func checkWhole(_ bytes: [UInt8]) {
        let isValid = bytes.withUnsafeBytes { UTF8Validator.isValid($0) }
        if isValid != (String(validating: bytes, as: UTF8.self) != nil) { Issue.record("\(bytes)") }
    }

    /// Whether the validator says the same as the standard library, whole and at every split.
    private static func agree(_ bytes: [UInt8]) -> Bool {
        let expected = String(validating: bytes, as: UTF8.self) != nil
        return (0...bytes.count).allSatisfy { split in
            bytes.withUnsafeBytes { memory in
                var validator = UTF8Validator()
                let isValid =
                    validator.feed(UnsafeRawBufferPointer(rebasing: memory[..<split]))
                    && validator.feed(UnsafeRawBufferPointer(rebasing: memory[split...]))
                return (isValid && validator.isComplete) == expected
            }
        }
    }
}
