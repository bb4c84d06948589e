import Core
package import HTTP

/// `/healthz` (alive), `/readyz` (dependencies reachable, not draining) and `/metrics`, on a service's own port; nginx
/// routes none of them.
package struct HealthRoutes: RouteGroup {
    private let metrics: Metrics
    private let checks: [HealthCheck]
    private let checkLimit: Duration
    private let isDraining: @Sendable () -> Bool

    /// - Parameters:
    ///   - metrics: What `/metrics` writes.
    ///   - checks: The dependencies without which the service cannot answer.
    ///   - checkLimit: How long each check may take; all run at once.
    ///   - isDraining: Whether the service is about to stop.
    package init(
        metrics: Metrics,
        checks: [HealthCheck] = [],
        checkLimit: Duration = .seconds(2),
        isDraining: @escaping @Sendable () -> Bool = { false }
    ) {
        self.metrics = metrics
        self.checks = checks
        self.checkLimit = checkLimit
        self.isDraining = isDraining
    }

    package func register(in router: inout Router) {
        let metrics = metrics
        router.add(.get, "/healthz") { _ in
            Response(contentType: "application/json", Array(#"{"status":"alive"}"#.utf8))
        }
        router.add(.get, "/readyz") { _ in
            try await ready()
        }
        router.add(.get, "/metrics") { _ in
            Response(contentType: Metrics.contentType, Array(metrics.text.utf8))
        }
    }

    private func ready() async throws -> Response {
        if isDraining() { throw Problem(503, .draining, "the service is stopping") }
        let limit = checkLimit
        let down = await withTaskGroup(of: (Int, Bool).self) { group in
            for (index, check) in checks.enumerated() {
                group.addTask { (index, await check.passes(within: limit)) }
            }
            var down: [Int] = []
            for await (index, passes) in group where !passes { down.append(index) }
            return down.sorted().map { checks[$0].name }
        }
        guard down.isEmpty else { throw Problem.unavailable("not reachable: \(down.joined(separator: ", "))") }
        return Response(contentType: "application/json", Array(#"{"status":"ready"}"#.utf8))
    }
}
