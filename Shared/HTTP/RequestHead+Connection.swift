extension RequestHead {
    /// Whether the client lets the connection stay open after this exchange (RFC 9112 §9.3).
    package var keepsAlive: Bool {
        if headers.contains("Connection", token: "close") { return false }
        return minorVersion > 0 || headers.contains("Connection", token: "keep-alive")
    }

    /// Whether the client waits for 100 before it sends the body (RFC 9110 §10.1.1).
    package var expectsContinue: Bool {
        minorVersion > 0 && headers["Expect"].map { Headers.equal($0, "100-continue") } ?? false
    }
}
