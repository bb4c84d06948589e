/// The essence of a media type (RFC 9110 §8.3.1), `type/subtype` in lower case, without parameters.
enum MediaType {
    static let unknown = "application/octet-stream"

    /// - Parameter text: A `Content-Type` value or what a client calls a file's type.
    /// - Returns: The essence, or `nil` if `text` is no media type.
    static func essence(_ text: String) -> String? {
        let essence = text.prefix { $0 != ";" }.drop { $0 == " " || $0 == "\t" }
        var trimmed = Array(essence.utf8)
        while trimmed.last == 0x20 || trimmed.last == 0x09 { trimmed.removeLast() }
        let parts = trimmed.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isTokenByte) }) else { return nil }
        return String(decoding: trimmed, as: UTF8.self).lowercased()
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
