/// What is wrong with a base 64 text; offsets count characters from its start.
package enum Base64Error: Error, Sendable, Equatable {
    /// A character that is not of the alphabet (RFC 4648 §3.3), line breaks and spaces too.
    case badCharacter(offset: Int)
    /// A `=` where none may be, or one of two missing.
    case badPadding(offset: Int)
    /// Anything after the padding.
    case dataAfterPadding(offset: Int)
    /// The last character has bits that no encoder sets (RFC 4648 §3.5).
    case trailingBits(offset: Int)
    /// The text ends inside a group of four.
    case truncated(length: Int)
}
