import Crypto
import Testing

@Suite("SHA-256 (FIPS 180-4)")
struct SHA256Tests {
    static let vectors: [(message: String, digest: String)] = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ]

    @Test("gives the published digests", arguments: vectors)
    func published(vector: (message: String, digest: String)) {
        #expect(Hex.encode(SHA256.hash(vector.message)) == vector.digest)
    }

    @Test("digests a million letters a")
    func million() {
        var hash = SHA256()
        let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
        for _ in 0..<1000 { hash.update(piece) }
        #expect(
            Hex.encode(hash.finalize()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        )
    }

    @Test("gives the same digest for every split in three")
    func splits() {
        let message = (0..<150).map { UInt8($0) }
        let expected = SHA256.hash(message)
        for first in 0...message.count {
            for second in stride(from: first, through: message.count, by: 7) {
                var hash = SHA256()
                hash.update(Array(message[..<first]))
                hash.update(Array(message[first..<second]))
                hash.update(Array(message[second...]))
                #expect(hash.finalize() == expected)
            }
        }
    }

    /// The digest of the digests of 0…200 zero bytes, made with Python's hashlib, covers every padding length.
    @Test("pads every length")
    func padding() {
        var all: [UInt8] = []
        for length in 0...200 { all += SHA256.hash([UInt8](repeating: 0, count: length)) }
        #expect(Hex.encode(SHA256.hash(all)) == "b9c4ebeeb7d1825824131cf7b7d28469cca4f9166473bf51bb519365ae27eccd")
    }
}

@Suite("SHA-1 (RFC 3174)")
struct SHA1Tests {
    static let vectors: [(message: String, times: Int, digest: String)] = [
        ("abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        ("a", 1_000_000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
        (
            "0123456701234567012345670123456701234567012345670123456701234567", 10,
            "dea356a2cddd90c7a7ecedc5ebb563934f460452"
        ),
    ]

    @Test("gives the published digests", arguments: vectors)
    func published(vector: (message: String, times: Int, digest: String)) {
        var message: [UInt8] = []
        for _ in 0..<vector.times { message += vector.message.utf8 }
        #expect(Hex.encode(SHA1.hash(message)) == vector.digest)
    }

    @Test("pads every length")
    func padding() {
        var all: [UInt8] = []
        for length in 0...200 { all += SHA1.hash([UInt8](repeating: 0, count: length)) }
        #expect(Hex.encode(SHA1.hash(all)) == "b02c98e5758b432a04f4f2159435c4a5af025325")
    }

    @Test("gives the same digest for every split")
    func splits() {
        let message = (0..<150).map { UInt8($0) }
        for split in 0...message.count {
            var hash = SHA1()
            hash.update(Array(message[..<split]))
            hash.update(Array(message[split...]))
            #expect(hash.finalize() == SHA1.hash(message))
        }
    }
}

@Suite("HMAC-SHA-256 (RFC 4231)")
struct HMACSHA256Tests {
    static let vectors: [(key: [UInt8], data: [UInt8], code: String)] = [
        (
            [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            Array(1...25), [UInt8](repeating: 0xcd, count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131),
            Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131),
            Array(
                ("This is a test using a larger than block-size key and a larger than block-size data. "
                    + "The key needs to be hashed before being used by the HMAC algorithm.").utf8
            ),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        ),
    ]

    @Test("gives the published codes and accepts only them", arguments: vectors)
    func published(vector: (key: [UInt8], data: [UInt8], code: String)) throws {
        let code = HMACSHA256.code(for: vector.data, key: vector.key)
        #expect(Hex.encode(code) == vector.code)
        #expect(HMACSHA256.isValid(code, for: vector.data, key: vector.key))
        var other = code
        other[31] ^= 1
        #expect(!HMACSHA256.isValid(other, for: vector.data, key: vector.key))
        #expect(!HMACSHA256.isValid(Array(code.prefix(16)), for: vector.data, key: vector.key))
        #expect(!HMACSHA256.isValid(code, for: vector.data + [0], key: vector.key))
    }
}
