/// The tables of the two alphabets of RFC 4648 (§4 and §5).
struct Base64Alphabet: Sendable {
    static let standard = Base64Alphabet("+", "/")
    static let url = Base64Alphabet("-", "_")

    /// In `values`: not a digit.
    ///
    /// Its top bit tells it from every digit, also in the OR of four.
    static let invalid: UInt8 = 0xff
    static let padding = UInt8(ascii: "=")

    /// 64 characters.
    let characters: [UInt8]
    /// By character: 0…63, or `invalid`.
    let values: [UInt8]

    private init(_ last: Unicode.Scalar, _ veryLast: Unicode.Scalar) {
        var characters = Array(UInt8(ascii: "A")...UInt8(ascii: "Z"))
        characters += UInt8(ascii: "a")...UInt8(ascii: "z")
        characters += UInt8(ascii: "0")...UInt8(ascii: "9")
        characters += [UInt8(ascii: last), UInt8(ascii: veryLast)]
        var values = [UInt8](repeating: Self.invalid, count: 256)
        for (value, character) in characters.enumerated() { values[Int(character)] = UInt8(value) }
        self.characters = characters
        self.values = values
    }

    /// The text of `bytes`, with or without padding.
    func encode(_ bytes: UnsafeRawBufferPointer, padded: Bool) -> String {
        let length = padded ? (bytes.count + 2) / 3 * 4 : (bytes.count * 4 + 2) / 3
        return characters.withUnsafeBufferPointer { characters in
            String(unsafeUninitializedCapacity: length) { output in
                var out = 0
                var index = 0
                while index + 3 <= bytes.count {
                    let group = Int(bytes[index]) << 16 | Int(bytes[index + 1]) << 8 | Int(bytes[index + 2])
                    output[out] = characters[group >> 18]
                    output[out + 1] = characters[group >> 12 & 63]
                    output[out + 2] = characters[group >> 6 & 63]
                    output[out + 3] = characters[group & 63]
                    index += 3
                    out += 4
                }
                let left = bytes.count - index
                guard left > 0 else { return out }
                let group = Int(bytes[index]) << 16 | (left == 2 ? Int(bytes[index + 1]) << 8 : 0)
                output[out] = characters[group >> 18]
                output[out + 1] = characters[group >> 12 & 63]
                out += 2
                if left == 2 {
                    output[out] = characters[group >> 6 & 63]
                    out += 1
                }
                while padded, out < length {
                    output[out] = Self.padding
                    out += 1
                }
                return out
            }
        }
    }
}
