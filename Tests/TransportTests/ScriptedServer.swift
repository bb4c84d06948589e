import Glibc
import Net
import Synchronization

/// A server that does exactly what a script says, on a thread of its own, to play what no proper server does.
final class ScriptedServer: Sendable {
    /// One accepted connection, with blocking calls.
    struct Connection {
        let descriptor: Int32

        /// Reads until the end of a request's head; empty when the client has closed.
        func readHead() -> String {
            var bytes: [UInt8] = []
            var byte: UInt8 = 0
            while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8) {
                guard recv(descriptor, &byte, 1, 0) == 1 else { return "" }
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }

        func write(_ text: String) {
            let bytes = Array(text.utf8)
            _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }

        /// Waits for the client's end of the connection.
        func waitForClose() {
            var byte: UInt8 = 0
            while recv(descriptor, &byte, 1, 0) == 1 {}
        }
    }

    let port: UInt16
    private let listener: Listener

    /// - Parameter script: Gets the number of each connection, from 0; the connection is closed when it returns. The
    ///   connections come one after the other.
    init(connections: Int, _ script: @escaping @Sendable (Int, Connection) -> Void) throws {
        guard let address = SocketAddress(host: "127.0.0.1", port: 0) else { throw SystemCallError("address") }
        let listener = try Socket.listen(address)
        let owner = Listener(listener)
        self.listener = owner
        port = Socket.localAddress(listener)?.port ?? 0
        let flags = fcntl(listener, F_GETFL)
        _ = fcntl(listener, F_SETFL, flags & ~O_NONBLOCK)
        let run = Run {
            for number in 0..<connections {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { break }
                script(number, Connection(descriptor: descriptor))
                close(descriptor)
            }
            owner.close()
        }
        run.start()
    }

    /// Ends the wait for further connections.
    func stop() { listener.shutDown() }

    /// The descriptor, never touched once closed: its number may be another test's by then.
    private final class Listener: Sendable {
        private let descriptor: Mutex<Int32>
        init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

        func shutDown() {
            descriptor.withLock { if $0 >= 0 { _ = shutdown($0, Int32(SHUT_RDWR)) } }
        }

        func close() {
            descriptor.withLock { descriptor in
                if descriptor >= 0 { _ = Glibc.close(descriptor) }
                descriptor = -1
            }
        }
    }

    private final class Run: Sendable {
        private let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }

        func start() {
            var thread = pthread_t()
            pthread_create(
                &thread,
                nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Run>.fromOpaque(argument).takeRetainedValue().body()
                    return nil
                },
                Unmanaged.passRetained(self).toOpaque()
            )
            pthread_detach(thread)
        }
    }
}
