import Core
import HTTP
import Net
import ServiceKit
import Transport
import WebSocket

/// A handshake whose session was verified.
struct VerifiedHandshake: Sendable {
    let identity: Identity
    let remoteAddress: String
    let sessionHash: String
    let expiresAt: Timestamp
    /// `UserDirectory.mark` from before auth was asked.
    let accountMark: Int
    /// Whether the client has said that it will send `Sync` (`sync=1`).
    let awaitsSync: Bool
}

/// `GET /ws`: every check of a WebSocket's opening, then the connection goes to its loop's shard.
///
/// 426 when no upgrade is asked for (naming the header), 401 without a live session, 403 when `user_id` or
/// `user_type` are not the session's or the `Origin` is not allowed, 429 or 503 over a limit: also when too many of the
/// address were refused with the former.
struct HandshakeRoute: RouteGroup {
    let gateway: Gateway
    let origins: OriginPolicy

    func register(in router: inout Router) {
        router.add(.get, "/ws") { request in try await open(request) }
    }

    func open(_ request: Request) async throws -> Response {
        let accept = try Handshake.check(
            method: request.method.rawValue,
            isHTTP11: request.head.minorVersion >= 1,
            header: { request.headers.values($0) }
        )
        guard origins.allows(request) else {
            throw Problem(403, .originNotAllowed, "Origin: is not on the allow-list")
        }
        guard let sessionID = SessionCredential.find(inWebSocketHandshake: request, origins: origins) else {
            throw Problem.unauthenticated("session_id: missing")
        }
        let address = request.remoteAddress
        try gateway.admission.enter(address)
        do {
            let handshake = try await verify(request, sessionID, address)
            return response(accept, handshake)
        } catch {
            gateway.admission.leave(address)
            // What is down on our side is nobody's failure.
            if let problem = error as? Problem, (400..<500).contains(problem.status) {
                gateway.admission.failed(address)
            }
            throw error
        }
    }

    private func verify(_ request: Request, _ sessionID: String, _ address: String) async throws -> VerifiedHandshake {
        guard !gateway.isDraining else {
            throw Problem(503, .draining, "this gateway is stopping", headers: [Problem.Header("Retry-After", "1")])
        }
        let accountMark = gateway.directory.mark
        let session = try await gateway.entrance.verify(sessionID, requestID: request.id)
        do {
            let query = request.query
            let sync = query["sync"]
            let awaitsSync = sync?.hasBytes(of: "1") ?? false
            guard awaitsSync || sync?.hasBytes(of: "0") ?? true else {
                throw Problem.badRequest("sync: must be 0 or 1")
            }
            if let claimed = query["user_id"], !claimed.hasBytes(of: session.userID) {
                throw Problem.forbidden("user_id: is not the session's")
            }
            if let claimed = query["user_type"], UserType(wire: claimed) != session.userType {
                throw Problem.forbidden("user_type: is not the session's")
            }
            return VerifiedHandshake(
                identity: Identity(userID: session.userID, userName: session.userName, userType: session.userType),
                remoteAddress: address,
                sessionHash: session.hash,
                expiresAt: session.expiresAt,
                accountMark: accountMark,
                awaitsSync: awaitsSync
            )
        } catch {
            _ = gateway.entrance.pending.end(session.hash)
            throw error
        }
    }

    private func response(_ accept: String, _ handshake: VerifiedHandshake) -> Response {
        let gateway = gateway
        let upgrade = StreamUpgrade(
            take: { connection in gateway.attach(connection, handshake) },
            abandoned: {
                _ = gateway.entrance.pending.end(handshake.sessionHash)
                gateway.admission.leave(handshake.remoteAddress)
            }
        )
        var response = Response(101, body: .upgrade(upgrade))
        for header in Handshake.responseHeaders(accept: accept) { response.headers.add(header.name, header.value) }
        return response
    }
}
