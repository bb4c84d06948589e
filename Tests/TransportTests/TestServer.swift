import Core
import HTTP
import Net
import TestSupport
import Transport

/// A server on a port of its own for the time of one test.
///
/// Its time-outs are long but for those that the test sets, since a busy machine is no slow client.
func withServer(
    on loops: EventLoopGroup? = nil,
    loops count: Int = 1,
    configure: (inout HTTPServerConfiguration) -> Void = { _ in },
    handler: @escaping Handler,
    _ test: (HTTPServer, UInt16) async throws -> Void
) async throws {
    try await withServer(on: loops, loops: count, configure: configure, responder: { Reply($0, handler) }, test)
}

/// The same with a responder, which may answer at once.
func withServer(
    on loops: EventLoopGroup? = nil,
    loops count: Int = 1,
    configure: (inout HTTPServerConfiguration) -> Void = { _ in },
    responder: @escaping Responder,
    _ test: (HTTPServer, UInt16) async throws -> Void
) async throws {
    let loops = try loops ?? EventLoopGroup(count: count)
    defer { loops.shutDown() }
    guard let address = SocketAddress(host: "127.0.0.1", port: 0) else { return }
    var configuration = HTTPServerConfiguration(address: address)
    configuration.headerTimeout = .seconds(60)
    configuration.bodyIdleTimeout = .seconds(60)
    configure(&configuration)
    let log = Log(service: "test", level: .error)
    let server = HTTPServer(configuration: configuration, loops: loops, log: log, responder: responder)
    let port = try server.start().port
    do {
        try await test(server, port)
    } catch {
        await server.drain(grace: .zero)
        throw error
    }
    await server.drain(grace: .zero)
}

/// A handler that answers with the method, the target and the body.
func echo(_ request: Request) async throws -> Response {
    let body = try await request.body.collect(upTo: 1 << 20)
    return Response(contentType: "text/plain", Array("\(request.method) \(request.head.target) ".utf8) + body)
}

extension Array<UInt8> {
    var text: String { String(decoding: self, as: UTF8.self) }
}
