package import Core
import Crypto
package import HTTP

/// Lets only other services of the stack, who show the internal token, at what lies under `/internal/`.
///
/// It looks at the path and not at how a route was mounted, so that no internal route can be forgotten.
package struct InternalGuard: Sendable {
    /// The header field that carries the token.
    package static let headerName = "X-Internal-Token"

    private let token: String

    package init(token: String) { self.token = token }

    /// `handler`, with requests under `/internal/` refused (403) unless they carry the token.
    package func wrap(_ handler: @escaping Handler) -> Handler {
        { request in
            if Self.isInternal(request) { try check(request) }
            return try await handler(request)
        }
    }

    /// Throws 403 unless the request carries the token exactly once.
    package func check(_ request: Request) throws(Problem) {
        let given = request.headers.values(Self.headerName)
        guard given.count == 1, ConstantTime.equal(given[0], token) else {
            throw .forbidden("\(Self.headerName): the internal token is missing or wrong")
        }
    }

    /// Whether the path's first segment, decoded as the router does, is `internal`.
    private static func isInternal(_ request: Request) -> Bool {
        let segments = try? RoutePattern.segments(ofPath: request.head.rawPath)
        return segments?.first == "internal"
    }
}
