package import Core

/// Answers a request; a thrown `ProblemConvertible` becomes its problem document, anything else a 500 without text.
package typealias Handler = @Sendable (Request) async throws -> Response

/// Routes that belong together; `ServiceKit` and the services mount them.
package protocol RouteGroup {
    /// Adds this group's routes.
    func register(in router: inout Router)
}
