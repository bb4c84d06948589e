import Dispatch
import Glibc

/// Why a host's name has no address: the name, and what the system's resolver says.
package struct ResolverError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
}

/// Looks host names up with the system's resolver, which blocks, so it has threads of its own.
package enum Resolver {
    private static let queue = DispatchQueue(label: "resolver", attributes: .concurrent)

    /// Calls `completion` on a thread of the resolver's.
    ///
    /// - Parameters:
    ///   - host: A name; a numeric address is answered as well.
    ///   - port: Goes into the addresses.
    ///   - completion: Gets at least one address, or why there is none.
    package static func resolve(
        _ host: String,
        port: UInt16,
        _ completion: @escaping @Sendable (Result<[SocketAddress], ResolverError>) -> Void
    ) {
        queue.async { completion(lookUp(host, port: port)) }
    }

    private static func lookUp(_ host: String, port: UInt16) -> Result<[SocketAddress], ResolverError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        var code = getaddrinfo(host, nil, &hints, &list)
        if code != 0 {
            // On a machine with nothing but loopback, AI_ADDRCONFIG leaves no family at all.
            hints.ai_flags = 0
            code = getaddrinfo(host, nil, &hints, &list)
        }
        guard code == 0 else {
            return .failure(ResolverError(description: "\(host): \(String(cString: gai_strerror(code)))"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = numeric(entry).flatMap({ SocketAddress(host: $0, port: port) }) {
                addresses.append(address)
            }
            next = entry.ai_next
        }
        return addresses.isEmpty ? .failure(ResolverError(description: "\(host): no address")) : .success(addresses)
    }

    private static func numeric(_ entry: addrinfo) -> String? {
        var text = [CChar](repeating: 0, count: 256)
        guard getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
        else { return nil }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
