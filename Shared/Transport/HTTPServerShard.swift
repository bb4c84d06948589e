import Core
import Glibc
import HTTP
import Net

/// One loop's part of an `HTTPServer`: its connections.
///
/// `@unchecked Sendable`: `server` is set once before the server starts; the rest is used on the loop's thread only.
final class HTTPServerShard: @unchecked Sendable {
    let loop: EventLoop
    let configuration: HTTPServerConfiguration
    let log: Log
    private let responder: Responder
    private weak var server: HTTPServer?
    private var connections: [ObjectIdentifier: HTTPConnection] = [:]
    private(set) var isDraining = false
    private var dateSecond: Int64 = -1
    private var dateText = ""

    init(loop: EventLoop, configuration: HTTPServerConfiguration, log: Log, responder: @escaping Responder) {
        self.loop = loop
        self.configuration = configuration
        self.log = log
        self.responder = responder
    }

    func attach(_ server: HTTPServer) { self.server = server }

    // MARK: - Connections

    func adopt(_ descriptor: Int32, _ peer: SocketAddress) {
        let connection = HTTPConnection(descriptor: descriptor, peer: peer.host, shard: self)
        do throws(SystemCallError) {
            if isDraining { throw SystemCallError("draining", code: ECANCELED) }
            try loop.register(connection, descriptor: descriptor, .read)
            connections[ObjectIdentifier(connection)] = connection
            connection.begin()
        } catch {
            close(descriptor)
            server?.connectionEnded()
        }
    }

    func remove(_ connection: HTTPConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        server?.connectionEnded()
    }

    func drain() {
        isDraining = true
        for connection in Array(connections.values) { connection.drain() }
    }

    func closeAll() {
        for connection in Array(connections.values) { connection.close() }
    }

    // MARK: - Requests

    /// What the responder makes of `request`.
    func reply(to request: Request) -> Reply { responder(request) }

    /// The response that a reply's outcome is.
    func response(_ outcome: Result<Response, any Error>, to request: Request) -> Response {
        do {
            return try outcome.get()
        } catch let error as any ProblemConvertible {
            return Response(error.problem)
        } catch is CancellationError {
            // The client has gone, or the drain's grace is over: nobody reads the answer.
            return Response(Problem(503, .unavailable, "the request was cancelled"))
        } catch {
            log.error(
                "request_failed",
                ["request_id": .string(request.id), "error": .string(String(reflecting: error))]
            )
            return Response(Problem(500, .internalError, "the request could not be completed"))
        }
    }

    /// The `Date` field's value, made once a second.
    func date() -> String {
        let now = Timestamp.now()
        if now.milliseconds / 1000 != dateSecond {
            dateSecond = now.milliseconds / 1000
            dateText = HTTPDate.text(now)
        }
        return dateText
    }
}
