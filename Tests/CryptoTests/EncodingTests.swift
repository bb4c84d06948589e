import Crypto
import TestSupport
import Testing

@Suite("Base 64 (RFC 4648)")
struct Base64Tests {
    static let vectors: [(plain: String, text: String)] = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test("encodes and decodes the published vectors", arguments: vectors)
    func published(vector: (plain: String, text: String)) throws {
        let bytes = Array(vector.plain.utf8)
        let unpadded = vector.text.filter { $0 != "=" }
        #expect(Base64.encode(bytes) == vector.text)
        #expect(try Base64.decode(vector.text) == bytes)
        #expect(Base64URL.encode(bytes) == unpadded)
        #expect(Base64URL.decode(unpadded) == bytes)
    }

    @Test("uses the two alphabets' own last characters")
    func alphabets() throws {
        #expect(Base64.encode([0xfb, 0xff]) == "+/8=")
        #expect(Base64URL.encode([0xfb, 0xff]) == "-_8")
        #expect(Base64URL.decode("-_8") == [0xfb, 0xff])
        #expect(Base64URL.decode("+/8") == nil)
        #expect(throws: Base64Error.badCharacter(offset: 0)) { try Base64.decode("-_8=") }
    }

    @Test(
        "base64url refuses padding, odd lengths, other characters and bits no encoder sets",
        arguments: [
            "Zg==", "Z", "Zm9vY", "Zm 9", "Zh", "Zm9vZm9", "é",
        ]
    )
    func urlRefuses(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    static let bad: [(text: String, error: Base64Error)] = [
        ("Zm9v!", .badCharacter(offset: 4)), ("Zm9vYm\n9", .badCharacter(offset: 6)), ("é", .badCharacter(offset: 0)),
        ("Zm9vZm9vZm9v Zm9v", .badCharacter(offset: 12)), ("Zm9\u{0}", .badCharacter(offset: 3)),
        ("=", .badPadding(offset: 0)), ("Z=", .badPadding(offset: 1)), ("Zm9v====", .badPadding(offset: 4)),
        ("Z===", .badPadding(offset: 1)), ("Zg=", .badPadding(offset: 3)),
        ("Zg=a", .dataAfterPadding(offset: 3)), ("Zg==Zg==", .dataAfterPadding(offset: 4)),
        ("Zm8=Zm9v", .dataAfterPadding(offset: 4)), ("Zm8==", .dataAfterPadding(offset: 4)),
        ("Zg===", .dataAfterPadding(offset: 4)), ("Zm8=\n", .dataAfterPadding(offset: 4)),
        ("Zh==", .trailingBits(offset: 1)), ("Zm9=", .trailingBits(offset: 2)),
        ("Z", .truncated(length: 1)), ("Zm9vZg", .truncated(length: 6)), ("Zm9vZm8", .truncated(length: 7)),
    ]

    @Test("refuses bad text with the same error at every split", arguments: bad)
    func refuses(row: (text: String, error: Base64Error)) {
        let text = Array(row.text.utf8)
        for split in 0...text.count {
            #expect(throws: row.error) { try Self.decode([Array(text[..<split]), Array(text[split...])]) }
        }
        #expect(throws: row.error) { try Self.decode(text.map { [$0] }) }
    }

    @Test("stays failed after an error")
    func sticky() {
        var decoder = Base64Decoder()
        var output: [UInt8] = []
        #expect(throws: Base64Error.badCharacter(offset: 0)) { try decoder.feed(Array("*".utf8), into: &output) }
        #expect(throws: Base64Error.badCharacter(offset: 0)) { try decoder.feed(Array("Zm9v".utf8), into: &output) }
        #expect(throws: Base64Error.badCharacter(offset: 0)) { try decoder.finish() }
        #expect(output.isEmpty)
    }

    @Test("decodes every length at every split, and one character at a time")
    func splits() throws {
        for length in 0...40 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
            let text = Array(Base64.encode(bytes).utf8)
            for split in 0...text.count {
                #expect(try Self.decode([Array(text[..<split]), Array(text[split...])]) == bytes)
            }
            #expect(try Self.decode(text.map { [$0] }) == bytes)
        }
    }

    @Test("decodes megabytes in random pieces")
    func random() throws {
        let seed = SecureRandom.uint64()
        var generator = SeededGenerator(seed: seed)
        let bytes = SecureRandom.bytes(1_000_001)
        let text = Array(Base64.encode(bytes).utf8)
        var pieces: [[UInt8]] = []
        var index = 0
        while index < text.count {
            let length = min(text.count - index, Int(generator.next() % 20_000))
            pieces.append(Array(text[index..<index + length]))
            index += length
        }
        #expect(try Self.decode(pieces) == bytes, "seed \(seed)")
    }

    private static func decode(_ pieces: [[UInt8]]) throws -> [UInt8] {
        var decoder = Base64Decoder()
        var output: [UInt8] = []
        for piece in pieces { try decoder.feed(piece, into: &output) }
        try decoder.finish()
        return output
    }
}

@Suite("Hex (RFC 4648 §8)")
struct HexTests {
    @Test("writes lower case and reads either")
    func roundTrip() {
        let all = (0...255).map { UInt8($0) }
        #expect(Hex.encode([0, 1, 0x7f, 0xab, 0xff]) == "00017fabff")
        #expect(Hex.decode(Hex.encode(all)) == all)
        #expect(Hex.decode(Hex.encode(all).uppercased()) == all)
        #expect(Hex.decode("") == [])
    }

    @Test("refuses odd lengths and other characters", arguments: ["0", "0g", "0x00", " 00", "é0"])
    func refuses(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}
