import Core
import Foundation
import HTTP
import Net
import Transport
import WebSocket

/// websocket-echo [PORT]: sends every message back, for conformance suites and the like.
///
/// The gateway's WebSocket stack with nothing on top: no greeting, no pings, no rate limit, messages up to 64 MiB.
@main
enum WebSocketEchoMain {
    private static let messageBytesMax = 64 << 20

    static func main() async throws {
        let port = CommandLine.arguments.dropFirst().first.flatMap { UInt16($0) } ?? 9001
        guard let address = SocketAddress(host: "127.0.0.1", port: port) else { return }
        let log = Log(service: "websocket-echo")
        let loops = try EventLoopGroup()
        var router = Router()
        router.add(.get, "/echo") { request in try upgrade(request) }
        let routes = router
        let server = HTTPServer(configuration: .init(address: address), loops: loops, log: log) { request in
            await routes.respond(to: request)
        }
        let bound = try server.start()
        log.info("listening", ["address": .string("\(bound)")])
        // Until it is killed.
        let (never, continuation) = AsyncStream<Void>.makeStream()
        for await _ in never {}
        continuation.finish()
    }

    private static func upgrade(_ request: Request) throws -> Response {
        let accept = try Handshake.check(
            method: request.method.rawValue,
            isHTTP11: request.head.minorVersion >= 1,
            header: { request.headers.values($0) }
        )
        let upgrade = StreamUpgrade { connection in
            let socket = WebSocketConnection(
                descriptor: connection.descriptor,
                loop: connection.loop,
                received: connection.received,
                pendingOutput: connection.pendingOutput,
                limits: .init(messageBytesMax: messageBytesMax, outboundBytesMax: 2 * messageBytesMax)
            )
            // Failing leaves nothing behind.
            try? socket.start(Echo(socket))
        }
        var response = Response(101, body: .upgrade(upgrade))
        for header in Handshake.responseHeaders(accept: accept) { response.headers.add(header.name, header.value) }
        return response
    }
}

/// Sends back what it is given.
private final class Echo: WebSocketHandler {
    private let socket: WebSocketConnection

    init(_ socket: WebSocketConnection) { self.socket = socket }

    func received(text: UnsafeMutableRawBufferPointer) { socket.send(.text, UnsafeRawBufferPointer(text)) }
    func received(binary: UnsafeRawBufferPointer) { socket.send(.binary, binary) }
    func received(pong: UnsafeRawBufferPointer) {}
    func drained() {}
    func closed(code: CloseCode?) {}
}
