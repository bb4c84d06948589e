/// A response's head as the parser gives it (RFC 9112 §4).
package struct ResponseHead: Sendable, Equatable {
    package var status: Status
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    package var minorVersion: Int
    package var headers: Headers

    package init(status: Status, minorVersion: Int = 1, headers: Headers = [:]) {
        self.status = status
        self.minorVersion = minorVersion
        self.headers = headers
    }

    /// Whether the server lets the connection stay open after this exchange (RFC 9112 §9.3).
    package var keepsAlive: Bool {
        if headers.contains("Connection", token: "close") { return false }
        return minorVersion > 0 || headers.contains("Connection", token: "keep-alive")
    }
}
