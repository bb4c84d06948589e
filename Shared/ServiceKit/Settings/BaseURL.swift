/// Where a service is reached, such as `http://auth:6001`.
///
/// No path, no credentials, and plain HTTP: services talk on loopback or on the compose network.
package struct BaseURL: Sendable, Hashable, CustomStringConvertible {
    package let address: HostPort

    static let rule = "http://host or http://host:port, without a path"

    package init(_ address: HostPort) { self.address = address }

    /// Reads `http://host[:port]`, with or without a `/` at the end; the port is 80 if left out.
    package init?(parsing text: String) {
        guard text.lowercased().hasPrefix("http://") else { return nil }
        var authority = text.dropFirst("http://".count)
        if authority.hasSuffix("/") { authority.removeLast() }
        if let address = HostPort(parsing: String(authority)) {
            guard address.port > 0 else { return nil }
            self.address = address
        } else if let address = HostPort(parsing: String(authority) + ":80") {
            self.address = address
        } else {
            return nil
        }
    }

    package var description: String { "http://\(address)" }
}
