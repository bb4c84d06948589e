package import Net

/// A host and a port: `127.0.0.1:6001`, `[::1]:6001`, `redis:6379`.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
    /// A name, or an IPv4 or IPv6 address without brackets.
    package let host: String
    /// 0…65535.
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`; an IPv6 host stands in brackets.
    package init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Self.parsePort(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard Self.isHost(host) else { return nil }
        self.init(host: String(host), port: port)
    }

    /// The address to listen on; `nil` when the host is a name.
    package var numeric: SocketAddress? { UInt16(exactly: port).flatMap { SocketAddress(host: host, port: $0) } }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Decimal digits only: `Int` would take a sign as well.
    static func parsePort(_ text: Substring) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(text), port <= 65535
        else { return nil }
        return port
    }

    /// Letters, digits, `.`, `-`, `_` (compose's service names), and `:` and `%` of an IPv6 address.
    static func isHost(_ text: Substring) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: ".-_:%".utf8.contains(byte)
                }
            }
    }
}
