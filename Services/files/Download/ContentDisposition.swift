/// The `Content-Disposition` header field (RFC 6266).
enum ContentDisposition {
    /// - Parameters:
    ///   - isInline: `inline`, else `attachment`.
    ///   - fileName: The name to save under.
    /// - Returns: The field's value. A name that is not plain ASCII comes twice: with `_` for what old clients do not
    ///   understand, and as RFC 8187 `filename*`.
    static func value(isInline: Bool, fileName: String) -> String {
        var fallback = ""
        var isPlain = true
        for scalar in fileName.unicodeScalars {
            // '%' too: some clients undo percent-encoding even in the plain form (RFC 6266 appendix D).
            let isUnsafe = !(0x20...0x7E).contains(scalar.value) || "\"\\%".unicodeScalars.contains(scalar)
            if isUnsafe { isPlain = false }
            fallback.unicodeScalars.append(isUnsafe ? "_" : scalar)
        }
        let plain = (isInline ? "inline" : "attachment") + "; filename=\"\(fallback)\""
        return isPlain ? plain : plain + "; filename*=UTF-8''" + percentEncoded(fileName)
    }

    /// RFC 8187 §3.2.1: everything but `attr-char` as `%HH` of its UTF-8.
    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var result: [UInt8] = []
        for byte in text.utf8 {
            if isAttributeByte(byte) {
                result.append(byte)
            } else {
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isAttributeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$&+-.^_`|~".utf8.contains(byte)
        }
    }
}
