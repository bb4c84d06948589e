import Core
import HTTP
import Net
import ServiceKit
import Synchronization
import Transport

/// Hands requests on to the instance that leads, as they came, and its answers back.
///
/// One per leader: when another one leads, whatever still waits for the former one is given up, and its caller asks
/// again. Nothing is asked twice here; the callers repeat.
final class Forwarder: Sendable {
    /// Says that a request has been handed on; it is not handed on again.
    static let header = "X-Presence-Forwarded"
    /// As many requests are with the leader at once; a long poll is one.
    static let connectionsMax = 1100
    /// What an answer has to take in addition to the time it may wait.
    static let patience = Duration.seconds(2)
    /// The largest answer: a page of a thousand users is far below it.
    static let responseBytesMax = 4 << 20

    /// The leader.
    let url: BaseURL
    private let token: String
    private let http: HTTPClient
    private let circuit = Mutex(CircuitBreaker())
    private let now: @Sendable () -> Milliseconds

    /// What of a request concerns the leader; the internal token is our own.
    private static let requestFields = ["Accept", "Authorization", "Content-Type", "Cookie", "X-Session-Id"]
    /// What belongs to the connection, or is added by whoever answers.
    private static let droppedFields = [
        "Connection", "Content-Length", "Date", "Keep-Alive", "Transfer-Encoding", "X-Request-Id",
    ]

    init(to url: BaseURL, token: String, loops: EventLoopGroup, now: @escaping @Sendable () -> Milliseconds) {
        self.url = url
        self.token = token
        self.now = now
        var configuration = HTTPClientConfiguration()
        configuration.connectionsPerHostMax = Self.connectionsMax
        configuration.waitersPerHostMax = 0
        http = HTTPClient(loops: loops, configuration: configuration)
    }

    /// The leader's answer.
    ///
    /// - Throws: `PresenceError.notLeading` when there is none; what reading the request's body throws.
    func forward(_ request: Request) async throws -> Response {
        let bytes = try await request.body.collect(upTo: InternalRoutes.bodyBytesMax)
        // Another value than that the leader refuses.
        let wait = (try? request.query.integer("wait", in: 0...InternalRoutes.waitSecondsMax)) ?? 0
        let answer = try await send(copy(of: request, bytes), wait: wait)
        var headers = answer.headers
        for name in Self.droppedFields { headers[name] = nil }
        return Response(answer.status, headers: headers, body: answer.body.isEmpty ? .empty : .bytes(answer.body))
    }

    /// Gives up what waits for an answer.
    func close() async { await http.shutDown() }

    /// - Parameter wait: How long the answer may take because it waits for news, in seconds; such a request neither
    ///   asks nor tells the circuit, whose probe it would hold.
    private func send(_ request: ClientRequest, wait: Int) async throws -> ClientResponse {
        let isPoll = wait > 0
        guard isPoll || circuit.withLock({ $0.admits(now: now()) }) else { throw PresenceError.notLeading }
        do throws(HTTPClientError) {
            let answer = try await http.send(
                request,
                timeout: .seconds(wait) + Self.patience,
                responseBytesMax: Self.responseBytesMax
            )
            if !isPoll { circuit.withLock { $0.succeeded() } }
            return answer
        } catch {
            if !isPoll { note(error) }
            throw PresenceError.notLeading
        }
    }

    private func note(_ error: HTTPClientError) {
        circuit.withLock { circuit in
            switch error {
            case .cancelled, .tooManyWaiting: circuit.abandoned(now: now())
            default: circuit.failed(now: now())
            }
        }
    }

    private func copy(of request: Request, _ bytes: [UInt8]) -> ClientRequest {
        var headers: Headers = [:]
        for name in Self.requestFields {
            for value in request.headers.values(name) { headers.add(name, value) }
        }
        headers["X-Request-Id"] = request.id
        headers["X-Forwarded-For"] = request.remoteAddress
        headers[InternalGuard.headerName] = token
        headers[Self.header] = "1"
        return ClientRequest(
            // A response to HEAD has no body to be read; the server leaves out the one of GET.
            request.method == .head ? .get : request.method,
            host: url.address.host,
            port: UInt16(url.address.port),
            target: request.head.target,
            headers: headers,
            body: bytes,
            // As with every route of the internal contract; the public ones are GET and PUT.
            isRepeatable: true
        )
    }
}
