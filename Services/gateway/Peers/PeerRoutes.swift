import Contracts
import Core
import HTTP
import ServiceKit

/// What other gateways tell this one (DESIGN §5): how far conversations of users here reach, and frames for them.
struct PeerRoutes: RouteGroup {
    /// The largest body, in bytes: a full batch with texts, one of whose hints may name many members.
    static let bodyBytesMax = 4 << 20

    let gateway: Gateway
    let metrics: GatewayMetrics

    func register(in router: inout Router) {
        router.add(.post, "/internal/deliver") { try await deliver($0) }
        router.add(.post, "/internal/notify") { try await notify($0) }
    }

    func deliver(_ request: Request) async throws -> Response {
        let hints = try DeliveryHints(json: try await request.jsonBytes(upTo: Self.bodyBytesMax))
        metrics.hintsReceived(hints.entries.count)
        gateway.hinted(hints)
        return Response(.noContent)
    }

    func notify(_ request: Request) async throws -> Response {
        let notices = try await request.json(Notifications.self, upTo: Self.bodyBytesMax).notices
        guard notices.count <= Notifications.noticesMax else {
            throw Problem.invalidField("notices", "at most \(Notifications.noticesMax)")
        }
        guard notices.allSatisfy({ $0.frame.utf8.count <= Notification.frameBytesMax }) else {
            throw Problem.invalidField("frame", "at most \(Notification.frameBytesMax) bytes")
        }
        gateway.notified(notices)
        return Response(.noContent)
    }
}
