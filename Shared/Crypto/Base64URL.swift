/// Base 64 with the URL and filename safe alphabet (RFC 4648 §5), without padding.
package enum Base64URL {
    /// The unpadded text of `bytes`.
    package static func encode(_ bytes: [UInt8]) -> String {
        bytes.withUnsafeBytes { Base64Alphabet.url.encode($0, padded: false) }
    }

    /// The bytes of an unpadded text; `nil` for padding, any other character, an impossible length, or bits that no
    /// encoder sets, so that a value has exactly one text.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let values = Base64Alphabet.url.values
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count * 3 / 4)
        var group: UInt32 = 0
        var bits = 0
        for character in text.utf8 {
            let value = values[Int(character)]
            guard value != Base64Alphabet.invalid else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                output.append(UInt8(group >> UInt32(bits) & 0xff))
                group &= 1 << UInt32(bits) - 1
            }
        }
        return bits < 6 && group == 0 ? output : nil
    }
}
