import Core
package import HTTP

/// Answers browsers' cross-origin questions (the Fetch standard's CORS protocol) from the allow-list.
///
/// A preflight from an origin that is not allowed gets 403; any other request is served, without the fields that
/// would let the page read the answer, and without its cookies, which the browser adds whoever asks: `SameSite` does
/// not keep them from the pages of another port or subdomain. Nor is it given any, or a foreign page's form could put a
/// session of its choice in the place of the user's. Never `*` together with credentials.
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

    /// `next`, with preflights answered before it and the fields added after it.
    package func wrap(_ next: @escaping Responder) -> Responder {
        { request in
            guard let origin = request.headers["Origin"] else {
                return next(request).map { varied(try $0.get()) }
            }
            let isOwn = policy.isOwn(origin, request)
            let isAllowed = isOwn || policy.allowsForeign(origin)
            if request.method == .options, request.headers["Access-Control-Request-Method"] != nil {
                guard isAllowed else {
                    let refusal = Problem(403, .originNotAllowed, "Origin: not on the allow-list")
                    return .now(.success(varied(Response(refusal))))
                }
                return .now(.success(preflight(origin)))
            }
            let isTrusted = isOwn || (isAllowed && policy.allowsCredentials)
            var trusted = request
            if !isTrusted { trusted.head.headers["Cookie"] = nil }
            return next(trusted).map { outcome in
                var response: Response
                do {
                    response = try outcome.get()
                } catch let error as any ProblemConvertible {
                    // Rendered here, so that the page can read what went wrong.
                    response = Response(error.problem)
                }
                if !isTrusted { response.headers["Set-Cookie"] = nil }
                if isAllowed {
                    allow(origin, in: &response)
                    response.headers["Access-Control-Expose-Headers"] = Self.exposedHeaders
                }
                return varied(response)
            }
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
