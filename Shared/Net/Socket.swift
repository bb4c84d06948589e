import CLinux
import Glibc

/// System calls on stream sockets; every descriptor made here is non-blocking and close-on-exec.
package enum Socket {
    /// How many connections the kernel keeps for us to accept.
    package static let backlog: Int32 = 4096

    /// A listening socket.
    ///
    /// - Parameter reusePort: Lets several loops listen on one port, the kernel spreading connections over them.
    /// - Throws: `SystemCallError` naming `socket`, `bind` or `listen`.
    package static func listen(_ address: SocketAddress, reusePort: Bool = false) throws(SystemCallError) -> Int32 {
        let descriptor = try open(address.family)
        do throws(SystemCallError) {
            try setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            if reusePort { try setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) }
            if address.family == AF_INET6 { try setOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            guard address.withSockaddr({ bind(descriptor, $0, $1) }) == 0 else {
                throw SystemCallError("bind \(address)")
            }
            guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemCallError("listen \(address)") }
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// The next waiting connection.
    ///
    /// - Returns: `nil` when none waits (or one vanished while waiting).
    /// - Throws: `SystemCallError` `accept4`, `EMFILE` among them.
    package static func accept(_ listener: Int32) throws(SystemCallError) -> (descriptor: Int32, peer: SocketAddress)? {
        var descriptor: Int32 = -1
        let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let peer = SocketAddress { address, length in
            descriptor = accept4(listener, address, length, flags)
            return descriptor
        }
        if let peer { return (descriptor, peer) }
        switch errno {
        case EAGAIN, EINTR, ECONNABORTED, EPROTO: return nil
        default: throw SystemCallError("accept4")
        }
    }

    /// Starts to connect; the descriptor becomes writable when that ends, and `pendingError` says how.
    package static func connect(_ address: SocketAddress) throws(SystemCallError) -> Int32 {
        let descriptor = try open(address.family)
        if address.withSockaddr({ Glibc.connect(descriptor, $0, $1) }) != 0, errno != EINPROGRESS {
            let error = SystemCallError("connect \(address)")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// `SO_ERROR`: what a non-blocking operation ended with, 0 for success.
    package static func pendingError(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return errno }
        return code
    }

    /// Sends small writes at once.
    package static func setNoDelay(_ descriptor: Int32) {
        // It fails only on sockets that are not TCP, where it has no meaning.
        try? setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// The local address of a socket, with the port that the kernel chose.
    package static func localAddress(_ descriptor: Int32) -> SocketAddress? {
        SocketAddress { getsockname(descriptor, $0, $1) }
    }

    /// What one read or write came to.
    package enum Transfer {
        /// That many bytes, at least one.
        case bytes(Int)
        /// The peer has ended its stream (reads only).
        case end
        /// Not now: wait for readiness.
        case wouldBlock
        /// The connection is broken.
        case failed(Int32)
    }

    /// One `recv`, repeated when a signal interrupts it.
    package static func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno == EAGAIN { return .wouldBlock }
            if errno != EINTR { return .failed(errno) }
        }
    }

    /// One `send` without SIGPIPE, repeated when a signal interrupts it.
    package static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EAGAIN { return .wouldBlock }
            if errno != EINTR { return .failed(errno) }
        }
    }

    private static func open(_ family: Int32) throws(SystemCallError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw SystemCallError("socket") }
        return descriptor
    }

    private static func setOption(
        _ descriptor: Int32,
        _ level: Int32,
        _ name: Int32,
        _ value: Int32
    ) throws(SystemCallError) {
        var value = value
        guard setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw SystemCallError("setsockopt \(name)")
        }
    }
}
