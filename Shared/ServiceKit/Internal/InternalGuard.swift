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

    /// `next`, with requests under `/internal/` refused (403) unless they carry the token.
    package func wrap(_ next: @escaping Responder) -> Responder {
        { request in
            if Self.isInternal(request) {
                do throws(Problem) { try check(request) } catch { return .now(.failure(error)) }
            }
            return next(request)
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
        let path = request.head.rawPath.utf8.dropFirst()
        let first = Substring(path.prefix { $0 != UInt8(ascii: "/") })
        return PercentEncoding.decode(first)?.hasBytes(of: "internal") ?? false
    }
}
