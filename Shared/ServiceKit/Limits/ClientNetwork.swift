import Glibc

/// What counts as one address for limits.
package enum ClientNetwork {
    /// The address itself for IPv4; the first 64 bits for IPv6, since a customer of a provider has all the rest.
    package static func key(of address: String) -> String {
        var bytes = in6_addr()
        guard address.utf8.count <= 64, inet_pton(AF_INET6, address, &bytes) == 1 else {
            return String(address.prefix(64))
        }
        let groups = withUnsafeBytes(of: &bytes) { Array($0) }
        let isMappedIPv4 = groups[..<10].allSatisfy { $0 == 0 } && groups[10] == 0xFF && groups[11] == 0xFF
        if isMappedIPv4 { return groups[12...].map(String.init).joined(separator: ".") }
        return groups[..<8].map { String($0, radix: 16) }.joined(separator: ":") + "::/64"
    }
}
