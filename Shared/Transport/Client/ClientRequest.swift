package import HTTP

/// A request to a server of the stack, its body whole.
package struct ClientRequest: Sendable {
    package var method: Method
    /// A name or a numeric address, IPv6 without brackets.
    package var host: String
    package var port: UInt16
    /// Path and query, percent-encoded.
    package var target: String
    /// Without `Host` and `Content-Length`, which the client adds.
    package var headers: Headers
    package var body: [UInt8]
    /// Whether asking twice does no harm.
    ///
    /// Only then is a request that was written to a connection found dead sent again.
    package var isRepeatable: Bool

    /// - Parameter isRepeatable: Left out: whether the method is idempotent (RFC 9110 §9.2.2).
    package init(
        _ method: Method,
        host: String,
        port: UInt16,
        target: String,
        headers: Headers = [:],
        body: [UInt8] = [],
        isRepeatable: Bool? = nil
    ) {
        self.method = method
        self.host = host
        self.port = port
        self.target = target
        self.headers = headers
        self.body = body
        self.isRepeatable = isRepeatable ?? (method.isSafe || method == .put || method == .delete)
    }

    /// Head and body as they are sent.
    ///
    /// - Throws: `MessageSerializer.Failure` for what would break the head.
    func serialized() throws(MessageSerializer.Failure) -> [UInt8] {
        var headers = headers
        let bracketed = host.contains(":") ? "[\(host)]" : host
        headers["Host"] = port == 80 ? bracketed : "\(bracketed):\(port)"
        if !body.isEmpty || method == .post || method == .put || method == .patch {
            headers["Content-Length"] = String(body.count)
        }
        var bytes: [UInt8] = []
        try MessageSerializer.appendRequestHead(
            RequestHead(method: method, target: target, headers: headers),
            to: &bytes
        )
        return bytes + body
    }
}

/// A response, its body whole.
package struct ClientResponse: Sendable, Equatable {
    package var status: Status
    package var headers: Headers
    package var body: [UInt8]

    package init(status: Status, headers: Headers, body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}
