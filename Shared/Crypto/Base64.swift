/// Base 64 (RFC 4648 §4): padded, no line breaks.
package enum Base64 {
    /// The padded text of `bytes`.
    package static func encode(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { Base64Alphabet.standard.encode($0, padded: true) }
    }

    /// The bytes of a complete text.
    ///
    /// - Throws: What `Base64Decoder` throws.
    package static func decode(_ text: some StringProtocol) throws(Base64Error) -> [UInt8] {
        var decoder = Base64Decoder()
        var output: [UInt8] = []
        try decoder.feed(Array(text.utf8), into: &output)
        try decoder.finish()
        return output
    }
}
