/// A request's head as the parser gives it (RFC 9112 §3).
package struct RequestHead: Sendable, Equatable {
    package var method: Method
    /// The request target in origin form as sent, such as `/ws?user_id=a`; asterisk form is `*`.
    package var target: String
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    package var minorVersion: Int
    package var headers: Headers

    package init(method: Method, target: String, minorVersion: Int = 1, headers: Headers = [:]) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
        self.headers = headers
    }

    /// The target's part before `?`, still percent-encoded.
    package var rawPath: Substring { target[..<(mark ?? target.endIndex)] }

    /// The target's part after `?`, still percent-encoded; empty without one.
    package var rawQuery: Substring {
        guard let mark else { return "" }
        return target[target.utf8.index(after: mark)...]
    }

    /// Where the path ends, looked for in bytes: characters would cost ten times as much.
    private var mark: String.Index? { target.utf8.firstIndex(of: UInt8(ascii: "?")) }
}

/// A request as a handler sees it.
package struct Request: Sendable {
    package var head: RequestHead
    package var body: RequestBody
    /// The address the request came from: the connection's peer, or what a trusted proxy says of it.
    package var remoteAddress: String
    /// Whether the client reached the edge by https.
    package var isSecure: Bool
    /// `X-Request-Id` if it came well-formed, else a fresh one.
    package var id: String
    /// What the route pattern's `{name}` parts matched, percent-decoded.
    package var parameters: [String: String] = [:]

    package init(
        head: RequestHead,
        body: RequestBody = .empty,
        remoteAddress: String = "127.0.0.1",
        isSecure: Bool = false,
        id: String = "-"
    ) {
        self.head = head
        self.body = body
        self.remoteAddress = remoteAddress
        self.isSecure = isSecure
        self.id = id
    }

    package var method: Method { head.method }
    package var headers: Headers { head.headers }
}
