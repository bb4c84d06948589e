import Core
import Crypto

/// A session's id: 256 random bits as base64url.
///
/// A secret: it goes to its owner, is never stored and never logged.
enum SessionID {
    /// Bytes of randomness.
    static let randomBytes = 32
    /// Characters of its text.
    static let length = 43

    /// A fresh one.
    static func make() -> String { SecureRandom.token(bytes: randomBytes) }

    /// The id that takes `old`'s place.
    ///
    /// Made of the old id, which only its owner has, and of a nonce that is stored as long as the old session's grace:
    /// so a refresh that is asked for again gets the same id, also when the service was started anew in between;
    /// and neither a dump of the store nor an old id alone leads to it.
    static func successor(of old: String, nonce: [UInt8]) -> String {
        Base64URL.encode(HMACSHA256.code(for: Array(old.utf8), key: nonce))
    }

    /// Whether `text` could be one; what cannot needs no look-up.
    static func isPlausible(_ text: String) -> Bool {
        text.utf8.count == length
            && text.utf8.allSatisfy { Identifier.isNameByte($0) && $0 != UInt8(ascii: ".") }
    }
}
