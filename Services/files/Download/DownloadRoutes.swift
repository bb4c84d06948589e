import Core
import Crypto
import HTTP
import ServiceKit

/// `GET` and `HEAD /files/{file_id}`: the bytes, for a session or by a signed URL.
///
/// `POST /api/files/{file_id}/url` gives such a URL, good without a session for a while.
struct DownloadRoutes: RouteGroup {
    private let files: FileStore
    private let authenticate: Authenticate
    private let signer: FileURLSigner
    private let now: @Sendable () -> Timestamp

    init(
        _ files: FileStore,
        authenticate: @escaping Authenticate,
        signer: FileURLSigner,
        now: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.files = files
        self.authenticate = authenticate
        self.signer = signer
        self.now = now
    }

    func register(in router: inout Router) {
        router.add(.get, "/files/{file_id}", download)
        router.add(.head, "/files/{file_id}", download)
        router.add(.post, "/api/files/{file_id}/url", sign)
    }

    @Sendable private func sign(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        let record = try await files.readable(request.parameters["file_id"] ?? "", by: caller)
        var response = try Response.json(signer.sign(record.id, now: now()))
        response.headers["Cache-Control"] = "no-store"
        return response
    }

    @Sendable private func download(_ request: Request) async throws -> Response {
        let (record, isSigned) = try await record(for: request)
        // The conditions in the order of RFC 9110 §13.2.2.
        let tag = EntityTag(sha256: record.sha256)
        if tag.failsIfMatch(request.headers) { throw FilesError.preconditionFailed }
        let headers = Self.headers(of: record, tag: tag, isSigned: isSigned)
        if tag.isNamedByIfNoneMatch(request.headers) { return Response(.notModified, headers: headers) }
        guard request.method == .get else {
            // Only GET has ranges (§14.2). The length is the file's; no file needs to be opened for it.
            var whole = headers
            whole["Content-Type"] = record.contentType
            return Response(headers: whole, body: .stream(length: record.size, next: { nil }))
        }
        let field = tag.allowsRange(request.headers) ? Self.range(request.headers) : nil
        return try await respond(record, ByteRanges(field, size: record.size), headers)
    }

    /// The file that the request may read.
    ///
    /// What looks like a signed URL is judged as one alone, with a session too.
    private func record(for request: Request) async throws -> (FileRecord, isSigned: Bool) {
        let id = request.parameters["file_id"] ?? ""
        let query = request.query
        let (expires, signature) = (query.values("expires"), query.values("signature"))
        if expires.isEmpty, signature.isEmpty {
            return (try await files.readable(id, by: try await authenticate(request)), false)
        }
        guard expires.count == 1, signature.count == 1,
            signer.accepts(id, expires: expires[0], signature: signature[0], now: now())
        else { throw FilesError.invalidSignature }
        return (try await files.signed(id), true)
    }

    private func respond(_ record: FileRecord, _ ranges: ByteRanges, _ headers: Headers) async throws -> Response {
        var headers = headers
        switch ranges {
        case .unsatisfiable:
            throw FilesError.rangeNotSatisfiable(size: record.size)
        case .whole:
            headers["Content-Type"] = record.contentType
            let blob = try await files.open(record)
            return Response(headers: headers, body: .file(descriptor: blob.release(), offset: 0, length: record.size))
        case .parts(let parts) where parts.count == 1:
            let part = parts[0]
            headers["Content-Type"] = record.contentType
            headers["Content-Range"] = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(record.size)"
            let blob = try await files.open(record)
            return Response(
                .partialContent,
                headers: headers,
                body: .file(descriptor: blob.release(), offset: part.lowerBound, length: part.count)
            )
        case .parts(let parts):
            let boundary = SecureRandom.token(bytes: 16)
            headers["Content-Type"] = "multipart/byteranges; boundary=\(boundary)"
            let body = RangesBody(
                parts,
                of: try await files.open(record),
                size: record.size,
                contentType: record.contentType,
                boundary: boundary,
                executor: files.blobs.nextExecutor()
            )
            return Response(
                .partialContent,
                headers: headers,
                body: .stream(length: body.length, next: { try await body.next() })
            )
        }
    }

    /// `Range`, unless it comes more than once, which means nothing.
    private static func range(_ headers: Headers) -> String? {
        let values = headers.values("Range")
        return values.count == 1 ? values[0] : nil
    }

    /// What every answer about a file says.
    ///
    /// - A browser never runs a file: `nosniff` keeps to our content type, the policy sandboxes whatever it opens, and
    ///   only pictures, sound and film are shown in place.
    /// - A cache asks every time (`no-cache`, answered 304 by the tag): the bytes never change, but who may read them
    ///   does, and several people share a browser.
    /// - A page of another port of the same site may show it, and any page that has a signed URL; what other origins
    ///   may read, CORS says.
    private static func headers(of record: FileRecord, tag: EntityTag, isSigned: Bool) -> Headers {
        [
            "ETag": tag.text,
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-cache",
            "Content-Disposition": ContentDisposition.value(
                isInline: record.fileType.isShownInline,
                fileName: record.fileName
            ),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cross-Origin-Resource-Policy": isSigned ? "cross-origin" : "same-site",
        ]
    }
}
