/// Percent-encoding (RFC 3986 §2.1).
package enum PercentEncoding {
    /// `text` with every `%XX` replaced by its byte.
    ///
    /// - Parameters:
    ///   - text: A path segment or one side of a query pair.
    ///   - plusIsSpace: Whether `+` stands for a space, as in forms and queries.
    /// - Returns: `nil` for a `%` without two hex digits, or bytes that are not UTF-8.
    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool = false) -> String? {
        decode(String(text), plusIsSpace)
    }

    /// The same for a whole string: generic code across modules is not specialised, and every path comes here.
    private static func decode(_ text: String, _ plusIsSpace: Bool) -> String? {
        let source = text.utf8
        guard source.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else { return text }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        var index = source.startIndex
        while index < source.endIndex {
            let byte = source[index]
            index = source.index(after: index)
            if byte == UInt8(ascii: "%") {
                var value: UInt8 = 0
                for _ in 0..<2 {
                    guard index < source.endIndex, let digit = hexValue(source[index]) else { return nil }
                    value = value << 4 | digit
                    index = source.index(after: index)
                }
                bytes.append(value)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// `text` with everything but RFC 3986's unreserved characters written as `%XX`.
    package static func encode(_ text: some StringProtocol) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The value of a hex digit, either case.
    static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
