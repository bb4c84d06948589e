import Core
import Crypto

/// The SHA-256 of a session's id: all that is kept of it.
///
/// Four words instead of an array, so that it is a cheap dictionary key.
struct SessionHash: Sendable, Hashable {
    private let words: Words

    private struct Words: Sendable, Hashable {
        var a, b, c, d: UInt64
    }

    /// The hash of a session's id.
    init(of id: String) { self.init(digest: SHA256.hash(id)) }

    /// A stored hash; `nil` unless it has 32 bytes.
    init?(bytes: [UInt8]) {
        guard bytes.count == SHA256.digestLength else { return nil }
        self.init(digest: bytes)
    }

    /// The hash from its wire form; `nil` unless it is base64url of 32 bytes.
    init?(wire: String) {
        guard let bytes = Base64URL.decode(wire) else { return nil }
        self.init(bytes: bytes)
    }

    private init(digest: [UInt8]) {
        func word(_ index: Int) -> UInt64 {
            digest[index * 8..<index * 8 + 8].reduce(0) { $0 << 8 | UInt64($1) }
        }
        words = Words(a: word(0), b: word(1), c: word(2), d: word(3))
    }

    /// The 32 bytes.
    var bytes: [UInt8] {
        [words.a, words.b, words.c, words.d].flatMap { word in
            stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt64($0)) }
        }
    }

    /// The wire form: base64url without padding.
    var wire: String { Base64URL.encode(bytes) }
}
