import Dispatch
import Glibc
package import HTTP

/// A TCP client of plain blocking system calls, for tests of servers: it sends exactly the bytes that it is given.
///
/// It has a thread of its own, since blocking one of the test runner's two would starve the other tests.
package final class RawClient: Sendable {
    /// Why a call ended without what it waited for.
    package enum Failure: Error, Equatable {
        case notConnected(Int32)
        case sendFailed(Int32)
        case timedOut
        case reset
        case ended
    }

    /// How long a call waits for the server: it only matters to a test that fails.
    private static let patienceSeconds = 30

    private let descriptor: Int32
    private let queue = DispatchQueue(label: "raw-client")

    /// Connects to 127.0.0.1.
    ///
    /// - Parameters:
    ///   - port: In host order.
    ///   - receiveBufferBytes: `SO_RCVBUF`, to make the server feel a slow reader soon; 0 for the system's default.
    package init(port: UInt16, receiveBufferBytes: Int32 = 0) async throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        try await Self.run(on: queue) {
            if receiveBufferBytes > 0 {
                var size = receiveBufferBytes
                setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            }
            var timeout = timeval(tv_sec: Self.patienceSeconds, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            let outcome = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard outcome == 0 else { throw Failure.notConnected(errno) }
        }
    }

    deinit { close(descriptor) }

    /// Sends everything.
    package func send(_ bytes: [UInt8]) async throws {
        let descriptor = descriptor
        try await Self.run(on: queue) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { throw Failure.sendFailed(errno) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Sends everything.
    package func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    /// Sends until the system takes no more for `patience`, or everything is out.
    ///
    /// - Returns: How many bytes the system took.
    package func sendUntilStalled(_ bytes: [UInt8], patience: Duration) async throws -> Int {
        let descriptor = descriptor
        let milliseconds = Int32(clamping: Int64(patience / .milliseconds(1)))
        return try await Self.run(on: queue) {
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                }
                if count > 0 {
                    sent += count
                    continue
                }
                guard errno == EAGAIN else { throw Failure.sendFailed(errno) }
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                if poll(&waiting, 1, milliseconds) == 0 { return sent }
            }
            return sent
        }
    }

    /// The next bytes, empty at the end of the stream.
    ///
    /// - Throws: `.timedOut` after `patienceSeconds`, `.reset`.
    package func receive(upTo countMax: Int = 65_536) async throws -> [UInt8] {
        let descriptor = descriptor
        return try await Self.run(on: queue) { try Self.receive(descriptor, upTo: countMax) }
    }

    private static func receive(_ descriptor: Int32, upTo countMax: Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: countMax)
        let count = recv(descriptor, &buffer, countMax, 0)
        guard count >= 0 else { throw errno == EAGAIN ? Failure.timedOut : Failure.reset }
        return Array(buffer[..<count])
    }

    /// Everything until the server ends the stream.
    package func receiveToEnd() async throws -> [UInt8] {
        var result: [UInt8] = []
        while true {
            let piece = try await receive()
            if piece.isEmpty { return result }
            result += piece
        }
    }

    /// Exactly `count` bytes.
    package func receive(exactly count: Int) async throws -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count {
            let piece = try await receive(upTo: count - result.count)
            if piece.isEmpty { throw Failure.ended }
            result += piece
        }
        return result
    }

    /// One response, and nothing of the next one: byte by byte but for a body of known length.
    ///
    /// It is read on the client's thread in one go: with a hop for each byte, a busy machine takes seconds for a head.
    package func receiveResponse(to method: HTTP.Method = .get) async throws -> (head: ResponseHead, body: [UInt8]) {
        let descriptor = descriptor
        return try await Self.run(on: queue) { try Self.receiveResponse(descriptor, to: method) }
    }

    private static func receiveResponse(
        _ descriptor: Int32,
        to method: HTTP.Method
    ) throws -> (head: ResponseHead, body: [UInt8]) {
        var parser = ResponseParser()
        parser.begin(method)
        var found: ResponseHead?
        var body: [UInt8] = []
        var length = 1
        while true {
            while let event = try parser.next() {
                switch event {
                case .head(let head, let framing):
                    found = head
                    if case .length(let count) = framing { length = count }
                case .body(let bytes): body += bytes
                case .end:
                    guard let found else { throw Failure.ended }
                    return (found, body)
                }
            }
            let piece = try receive(descriptor, upTo: max(length - body.count, 1))
            if piece.isEmpty { parser.finish() } else { parser.feed(piece) }
        }
    }

    /// Ends this side of the stream.
    package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Breaks the connection with a reset.
    package func reset() async throws {
        let descriptor = descriptor
        try await Self.run(on: queue) {
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
            // Connecting to nowhere dissolves the association without giving the descriptor's number away.
            var address = sockaddr()
            address.sa_family = sa_family_t(AF_UNSPEC)
            connect(descriptor, &address, socklen_t(MemoryLayout<sockaddr>.size))
        }
    }

    private static func run<Result: Sendable>(
        on queue: DispatchQueue,
        _ body: @escaping @Sendable () throws -> Result
    ) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }
}
