internal import Core
package import HTTP

/// Where a request carries its session's id (DESIGN §3).
///
/// `X-Session-Id`, or `Authorization: Bearer`, or the cookie `session_id`. The cookie comes by itself with whatever a
/// foreign page makes the browser send, so it counts for safe methods only, and for a WebSocket handshake only with
/// an allowed `Origin`; `CORS` takes it away from pages that may not send credentials. A WebSocket's query may carry
/// `session_id` or `session_token`, since browsers cannot add header fields there.
package enum SessionCredential {
    /// The longest session id, in bytes.
    package static let bytesMax = 256
    /// The cookie that login sets.
    package static let cookieName = "session_id"

    /// The session id of an ordinary request; `nil` without a usable one.
    package static func find(in request: Request) -> String? {
        if let explicit = fromHeader(request) { return explicit }
        return request.method.isSafe ? fromCookie(request) : nil
    }

    /// The session id of a WebSocket handshake; `nil` without a usable one.
    package static func find(inWebSocketHandshake request: Request, origins: OriginPolicy) -> String? {
        if let explicit = fromHeader(request) { return explicit }
        let query = request.query
        if let text = query["session_id"] ?? query["session_token"] { return usable(text) }
        guard request.headers["Origin"] != nil, origins.allows(request) else { return nil }
        return fromCookie(request)
    }

    private static func fromHeader(_ request: Request) -> String? {
        if let text = request.headers["X-Session-Id"] { return usable(text) }
        guard let authorization = request.headers["Authorization"], authorization.isASCII else { return nil }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, Headers.equal(parts[0], "Bearer") else { return nil }
        return usable(String(parts[1]))
    }

    /// The first cookie of that name (RFC 6265 §4.2).
    private static func fromCookie(_ request: Request) -> String? {
        for value in request.headers.values("Cookie") {
            // By its bytes: other cookies may have any.
            for pair in value.utf8.split(separator: UInt8(ascii: ";")) {
                let trimmed = pair.drop(while: Self.isSpace)
                guard trimmed.starts(with: (cookieName + "=").utf8) else { continue }
                var text = trimmed.dropFirst(cookieName.utf8.count + 1)
                while let last = text.last, Self.isSpace(last) { text.removeLast() }
                let quote = UInt8(ascii: "\"")
                if text.count >= 2, text.first == quote, text.last == quote { text = text.dropFirst().dropLast() }
                return usable(String(Substring(text)))
            }
        }
        return nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Whether `text` may be a session's id: they are visible ASCII, and anything else was never issued.
    package static func isUsable(_ text: String) -> Bool {
        (1...bytesMax).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    private static func usable(_ text: String) -> String? { isUsable(text) ? text : nil }
}
