import Core

/// Answers a request; a thrown `ProblemConvertible` becomes its problem document, anything else a 500 without text.
package typealias Handler = @Sendable (Request) async throws -> Response

/// Answers a request from what is in memory, on its connection's event loop: it must not wait for anything, nor work
/// for long; `nil` leaves the request to the route's `Handler`.
///
/// The body is there (`RequestBody.whole`) when it came with the head.
package typealias ImmediateHandler = @Sendable (Request) throws -> Response?

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
        let immediate: ImmediateHandler?
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

        /// The subtree below a literal, all of which are ASCII: to hash anything else takes the square of a run of
        /// combining marks.
        private func literal(_ segment: String) -> Node? {
            segment.utf8.allSatisfy { $0 < 0x80 } ? literals[segment] : nil
        }

        func find(_ segments: ArraySlice<String>, _ values: inout [String]) -> [Method: Route]? {
            guard let first = segments.first else { return routes.isEmpty ? nil : routes }
            if let found = literal(first)?.find(segments.dropFirst(), &values) { return found }
            guard !first.isEmpty, let below = parameter.first else { return nil }
            values.append(first)
            if let found = below.find(segments.dropFirst(), &values) { return found }
            values.removeLast()
            return nil
        }
    }

    private var root = Node()
    /// The routes of patterns without parameters, by path: most requests need no walk down the tree.
    private var literalRoutes: [String: [Method: Route]] = [:]

    /// Told of every error that is answered as `internal_error`, since the answer does not carry its text.
    package var onError: @Sendable (any Error, Request) -> Void = { error, request in
        Log(service: "http").error(
            "request_failed",
            ["request_id": .string(request.id), "error": .string(String(reflecting: error))]
        )
    }

    /// Answers what no pattern matches; without it that is 404.
    package var fallback: Handler?

    package init() {}

    /// Adds a route for a pattern such as `/api/users/{id}` (see `RoutePattern`).
    ///
    /// The same method and path shape twice is a programmer's mistake and traps.
    ///
    /// - Parameters:
    ///   - method: The requests' method.
    ///   - pattern: The requests' path.
    ///   - immediate: Asked first, and may answer without a task.
    ///   - handler: Answers what `immediate` leaves.
    package mutating func add(
        _ method: Method,
        _ pattern: String,
        immediate: ImmediateHandler? = nil,
        _ handler: @escaping Handler
    ) {
        let parsed = RoutePattern(pattern)
        let route = Route(
            parameterNames: parsed.parameterNames,
            pattern: pattern,
            immediate: immediate,
            handler: handler
        )
        root.insert(route, method, parsed.segments[...])
        if parsed.parameterNames.isEmpty { literalRoutes[pattern, default: [:]][method] = route }
    }

    /// Adds a group's routes.
    package mutating func mount(_ group: some RouteGroup) { group.register(in: &self) }

    /// Answers any request, at once where it can; never an error.
    package func reply(to request: Request) -> Reply {
        dispatch(request).map { outcome in
            do { return try outcome.get() } catch { return answer(to: error, request) }
        }
    }

    /// Answers any request; never throws.
    package func respond(to request: Request) async -> Response {
        do { return try await dispatch(request).response() } catch { return answer(to: error, request) }
    }

    private func answer(to error: any Error, _ request: Request) -> Response {
        if let error = error as? any ProblemConvertible { return Response(error.problem) }
        onError(error, request)
        return Response(Problem(500, .internalError, "the request could not be completed"))
    }

    /// As `reply`, with errors left as they are: for a router behind another one's `fallback`.
    package func dispatch(_ request: Request) -> Reply {
        if request.head.target == "*" { return .now(.success(Response(.noContent))) }
        do throws(Problem) {
            guard let (routes, values) = try resource(of: request.head) else {
                if let fallback { return Reply(request, fallback) }
                throw .notFound("no such resource")
            }
            guard let route = routes[request.method] ?? (request.method == .head ? routes[.get] : nil) else {
                return .now(try Self.answerWithoutRoute(request.method, routes))
            }
            var routed = request
            for (name, value) in zip(route.parameterNames, values) { routed.parameters[name] = value }
            if let immediate = route.immediate {
                do {
                    if let response = try immediate(routed) { return .now(.success(response)) }
                } catch {
                    return .now(.failure(error))
                }
            }
            return Reply(routed, route.handler)
        } catch {
            return .now(.failure(error))
        }
    }

    /// The routes of the resource that the target names, and what its path has in place of parameters; `nil` when
    /// there is no such resource.
    private func resource(of head: RequestHead) throws(Problem) -> (routes: [Method: Route], values: [String])? {
        _ = try Query(encoded: head.rawQuery)
        let path = String(head.rawPath)
        // A path that is a pattern letter for letter is what the tree would find: it prefers literals, and decoding
        // leaves the path as it is, since no pattern has a `%`.
        if let routes = literalRoutes[path] { return (routes, []) }
        let segments = try RoutePattern.segments(ofPath: path)
        var values: [String] = []
        return root.find(segments[...], &values).map { ($0, values) }
    }

    /// `OPTIONS`, or a method that the resource lacks.
    private static func answerWithoutRoute(
        _ method: Method,
        _ routes: [Method: Route]
    ) throws(Problem) -> Result<Response, any Error> {
        let allow = allow(routes.keys)
        if method == .options { return .success(Response(.noContent, headers: ["Allow": allow])) }
        throw Problem(
            405,
            .methodNotAllowed,
            "method: this resource knows \(allow)",
            headers: [.init("Allow", allow)]
        )
    }

    private static func allow(_ methods: some Sequence<Method>) -> String {
        var names = Set(methods.map(\.rawValue))
        names.insert(Method.options.rawValue)
        if names.contains(Method.get.rawValue) { names.insert(Method.head.rawValue) }
        return names.sorted().joined(separator: ", ")
    }
}
