import Glibc
package import HTTP

/// The proxies whose word on a request's origin is believed.
package struct TrustedProxies: Sendable, Equatable {
    /// An address range; IPv4 as v4-mapped IPv6.
    private struct Range: Equatable {
        var address: [UInt8]
        var prefixBits: Int

        func contains(_ other: [UInt8]) -> Bool {
            let whole = prefixBits / 8
            guard address[..<whole] == other[..<whole] else { return false }
            let rest = prefixBits % 8
            return rest == 0 || (address[whole] ^ other[whole]) >> (8 - rest) == 0
        }
    }

    private var ranges: [Range] = []

    /// Trusts nobody.
    package init() {}

    /// Reads a list of addresses and CIDR ranges, such as `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
    ///
    /// - Parameter list: The members.
    /// - Returns: `nil` when a member is neither.
    package init?(_ list: [String]) {
        for member in list {
            let parts = member.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let address = Self.bytes(of: parts[0]) else { return nil }
            let isV4 = !parts[0].contains(":")
            var prefixBits = 128
            if parts.count == 2 {
                guard let bits = Int(parts[1]), (0...(isV4 ? 32 : 128)).contains(bits) else { return nil }
                prefixBits = isV4 ? 96 + bits : bits
            }
            ranges.append(Range(address: address, prefixBits: prefixBits))
        }
    }

    /// Whether `host` is one of them.
    package func contains(_ host: some StringProtocol) -> Bool {
        guard !ranges.isEmpty, let address = Self.bytes(of: host) else { return false }
        return ranges.contains { $0.contains(address) }
    }

    /// Where a request came from: the right-most address of `X-Forwarded-For` that is not trusted, if the peer is.
    ///
    /// Entries further left were written by somebody we do not trust.
    package func remoteAddress(peer: String, _ headers: Headers) -> String {
        guard headers["X-Forwarded-For"] != nil, contains(peer) else { return peer }
        var found = peer
        for entry in headers.list("X-Forwarded-For").reversed() {
            guard Self.bytes(of: entry) != nil else { break }
            found = String(entry)
            guard contains(entry) else { break }
        }
        return found
    }

    /// Whether the client reached the edge by https, as a trusted peer says in `X-Forwarded-Proto`.
    package func isSecure(peer: String, _ headers: Headers) -> Bool {
        guard let scheme = headers.list("X-Forwarded-Proto").last, contains(peer) else { return false }
        return Headers.equal(scheme, "https")
    }

    /// The sixteen bytes of a numeric address.
    private static func bytes(of host: some StringProtocol) -> [UInt8]? {
        let text = String(host)
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            return [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + withUnsafeBytes(of: v4) { Array($0) }
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        return withUnsafeBytes(of: v6) { Array($0) }
    }
}
