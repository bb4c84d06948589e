import Core

/// Answers a request; a thrown `ProblemConvertible` becomes its problem document, anything else a 500 without text.
package typealias Handler = @Sendable (Request) async throws -> Response

/// Routes that belong together; `ServiceKit` and the services mount them.
package protocol RouteGroup {
    /// Adds this group's routes.
    func register(in router: inout Router)
}

/// Finds the handler of a request's path and method, and turns what it throws into a problem document.
///
/// The path names the resource: of several patterns that match, the one with a literal where the other has a
/// parameter wins, leftmost first. Only then does the method count: 405 with `Allow` when that resource lacks it.
/// `HEAD` falls back to `GET` (the server leaves the body out); `OPTIONS` is answered unless a route takes it.
package struct Router: Sendable {
    private struct Route: Sendable {
        let parameterNames: [String]
        let pattern: String
        let handler: Handler
    }

    /// One position in the tree of segments.
    private struct Node: Sendable {
        var literals: [String: Node] = [:]
        /// The subtree below a parameter, at most one.
        ///
        /// An array, since a struct cannot contain itself.
        var parameter: [Node] = []
        var routes: [Method: Route] = [:]

        mutating func insert(_ route: Route, _ method: Method, _ segments: ArraySlice<RoutePattern.Segment>) {
            guard let first = segments.first else {
                precondition(routes[method] == nil, "route \(method) \(route.pattern) is registered twice")
                routes[method] = route
                return
            }
            switch first {
            case .literal(let text): literals[text, default: Node()].insert(route, method, segments.dropFirst())
            case .parameter:
                if parameter.isEmpty { parameter = [Node()] }
                parameter[0].insert(route, method, segments.dropFirst())
            }
        }

        func find(_ segments: ArraySlice<String>, _ values: inout [String]) -> [Method: Route]? {
            guard let first = segments.first else { return routes.isEmpty ? nil : routes }
            if let found = literals[first]?.find(segments.dropFirst(), &values) { return found }
            guard !first.isEmpty, let below = parameter.first else { return nil }
            values.append(first)
            if let found = below.find(segments.dropFirst(), &values) { return found }
            values.removeLast()
            return nil
        }
    }

    private var root = Node()

    /// Told of every error that is answered as `internal_error`, since the answer does not carry its text.
    package var onError: @Sendable (any Error, Request) -> Void = { error, request in
        Log(service: "http").error(
            "request_failed",
            ["request_id": .string(request.id), "error": .string(String(reflecting: error))]
        )
    }

    package init() {}

    /// Adds a route for a pattern such as `/api/users/{id}` (see `RoutePattern`).
    ///
    /// The same method and path shape twice is a programmer's mistake and traps.
    package mutating func add(_ method: Method, _ pattern: String, _ handler: @escaping Handler) {
        let parsed = RoutePattern(pattern)
        let route = Route(parameterNames: parsed.parameterNames, pattern: pattern, handler: handler)
        root.insert(route, method, parsed.segments[...])
    }

    /// Adds a group's routes.
    package mutating func mount(_ group: some RouteGroup) { group.register(in: &self) }

    /// Answers any request; never throws.
    package func respond(to request: Request) async -> Response {
        do {
            return try await dispatch(request)
        } catch let error as any ProblemConvertible {
            return Response(error.problem)
        } catch {
            onError(error, request)
            return Response(Problem(500, .internalError, "the request could not be completed"))
        }
    }

    private func dispatch(_ request: Request) async throws -> Response {
        if request.head.target == "*" { return Response(.noContent) }
        let segments = try RoutePattern.segments(ofPath: request.head.rawPath)
        _ = try Query(encoded: request.head.rawQuery)
        var values: [String] = []
        guard let routes = root.find(segments[...], &values) else {
            throw Problem.notFound("no such resource")
        }
        guard let route = routes[request.method] ?? (request.method == .head ? routes[.get] : nil) else {
            let allow = Self.allow(routes.keys)
            if request.method == .options { return Response(.noContent, headers: ["Allow": allow]) }
            throw Problem(
                405,
                .methodNotAllowed,
                "method: this resource knows \(allow)",
                headers: [.init("Allow", allow)]
            )
        }
        var routed = request
        for (name, value) in zip(route.parameterNames, values) { routed.parameters[name] = value }
        return try await route.handler(routed)
    }

    private static func allow(_ methods: some Sequence<Method>) -> String {
        var names = Set(methods.map(\.rawValue))
        names.insert(Method.options.rawValue)
        if names.contains(Method.get.rawValue) { names.insert(Method.head.rawValue) }
        return names.sorted().joined(separator: ", ")
    }
}
