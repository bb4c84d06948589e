import Core
package import HTTP

/// Answers browsers' cross-origin questions (the Fetch standard's CORS protocol) from the allow-list.
///
/// A preflight from an origin that is not allowed gets 403; any other request is served, without the fields that
/// would let the page read the answer, and without its cookies, which the browser adds whoever asks: `SameSite` does
/// not keep them from the pages of another port or subdomain. Never `*` together with credentials.
package struct CORS: Sendable {
    private let policy: OriginPolicy

    private static let allowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    private static let allowedHeaders = """
        Authorization, Content-Type, X-Session-Id, X-Request-Id, Range, If-Match, If-None-Match, If-Range, \
        Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Checksum, Upload-Defer-Length, \
        Upload-Concat, X-HTTP-Method-Override
        """
    private static let exposedHeaders = """
        X-Request-Id, Location, ETag, Retry-After, Content-Disposition, Content-Range, Accept-Ranges, Tus-Resumable, \
        Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm, Upload-Offset, Upload-Length, \
        Upload-Expires, Upload-Metadata
        """
    /// How long a browser may keep a preflight's answer, in seconds.
    private static let maxAgeSeconds = 600

    package init(_ policy: OriginPolicy) { self.policy = policy }

    /// `handler`, with preflights answered before it and the fields added after it.
    package func wrap(_ handler: @escaping Handler) -> Handler {
        { request in
            guard let origin = request.headers["Origin"] else { return varied(try await handler(request)) }
            let isOwn = policy.isOwn(origin, request)
            let isAllowed = isOwn || policy.allowsForeign(origin)
            if request.method == .options, request.headers["Access-Control-Request-Method"] != nil {
                guard isAllowed else {
                    return varied(Response(Problem(403, .originNotAllowed, "Origin: not on the allow-list")))
                }
                return preflight(origin)
            }
            var trusted = request
            if !isOwn, !(isAllowed && policy.allowsCredentials) { trusted.head.headers["Cookie"] = nil }
            var response: Response
            do {
                response = try await handler(trusted)
            } catch let error as any ProblemConvertible {
                // Rendered here, so that the page can read what went wrong.
                response = Response(error.problem)
            }
            if isAllowed {
                allow(origin, in: &response)
                response.headers["Access-Control-Expose-Headers"] = Self.exposedHeaders
            }
            return varied(response)
        }
    }

    private func preflight(_ origin: String) -> Response {
        var response = Response(.noContent)
        allow(origin, in: &response)
        response.headers["Access-Control-Allow-Methods"] = Self.allowedMethods
        response.headers["Access-Control-Allow-Headers"] = Self.allowedHeaders
        response.headers["Access-Control-Max-Age"] = String(Self.maxAgeSeconds)
        response.headers["Vary"] = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
        return response
    }

    private func allow(_ origin: String, in response: inout Response) {
        response.headers["Access-Control-Allow-Origin"] = origin
        if policy.allowsCredentials { response.headers["Access-Control-Allow-Credentials"] = "true" }
    }

    private func varied(_ response: Response) -> Response {
        guard !response.headers.contains("Vary", token: "Origin") else { return response }
        var response = response
        response.headers.add("Vary", "Origin")
        return response
    }
}
