/// Reads a request line (RFC 9112 §3).
///
///     request-line = method SP request-target SP HTTP-version
enum RequestLine {
    /// The parts of a request line.
    struct Parsed: Equatable {
        var method: Method
        /// In origin form, or `*`.
        var target: String
        /// The authority of a target that came in absolute form; it stands for the `Host` field (§3.2.2).
        var authority: String?
        var minorVersion: Int
    }

    static func parse(_ line: UnsafeRawBufferPointer) throws(HTTPParseError) -> Parsed {
        let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty else { throw .malformedRequestLine }
        let minorVersion = try version(parts[2])
        guard parts[0].allSatisfy(Token.isTokenByte) else { throw .invalidMethod }
        let method = Method(rawValue: String(decoding: parts[0], as: UTF8.self))
        // Wider than RFC 3986 (browsers send `|` and the like), still only visible ASCII and no fragment.
        guard parts[1].allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") }) else {
            throw .invalidTarget
        }
        let target = String(decoding: parts[1], as: UTF8.self)
        if target.utf8.first == UInt8(ascii: "/") {
            return Parsed(method: method, target: target, authority: nil, minorVersion: minorVersion)
        }
        if target == "*" {
            guard method == .options else { throw .invalidTarget }
            return Parsed(method: method, target: target, authority: nil, minorVersion: minorVersion)
        }
        let (authority, rest) = try absoluteForm(target)
        let origin = rest.isEmpty ? (method == .options ? "*" : "/") : rest.first == "?" ? "/" + rest : String(rest)
        return Parsed(method: method, target: origin, authority: authority, minorVersion: minorVersion)
    }

    private static func version(_ part: Slice<UnsafeRawBufferPointer>) throws(HTTPParseError) -> Int {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        let bytes = Array(part)
        guard bytes.count == 8, bytes.starts(with: "HTTP/".utf8), digits.contains(bytes[5]),
            bytes[6] == UInt8(ascii: "."), digits.contains(bytes[7])
        else { throw .malformedRequestLine }
        guard bytes[5] == UInt8(ascii: "1") else { throw .unsupportedVersion }
        // A higher minor version is read as the highest that we know (RFC 9110 §2.5).
        return bytes[7] == UInt8(ascii: "0") ? 0 : 1
    }

    private static func absoluteForm(_ target: String) throws(HTTPParseError) -> (String, Substring) {
        guard let mark = target.firstRange(of: "://"),
            ["http", "https"].contains(target[..<mark.lowerBound].lowercased())
        else { throw .invalidTarget }
        let rest = target[mark.upperBound...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard HostField.isValid(rest[..<end]) else { throw .invalidTarget }
        return (String(rest[..<end]), rest[end...])
    }
}
