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

    /// Whether `text` could be one; what cannot needs no look-up.
    static func isPlausible(_ text: String) -> Bool {
        text.utf8.count == length
            && text.utf8.allSatisfy { Identifier.isNameByte($0) && $0 != UInt8(ascii: ".") }
    }
}
