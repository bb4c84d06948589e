import Core
import HTTP
import ServiceKit

/// `/api/files/uploads` and `/api/files/uploads/{file_id}`: tus 1.0.0.
///
/// `GET /api/files/{file_id}` has the document once the upload is complete.
struct TusRoutes: RouteGroup {
    private let uploads: PartialUploads
    private let authenticate: Authenticate
    private let log: Log

    init(_ uploads: PartialUploads, authenticate: @escaping Authenticate, log: Log) {
        self.uploads = uploads
        self.authenticate = authenticate
        self.log = log
    }

    func register(in router: inout Router) {
        router.add(.options, "/api/files/uploads", capabilities)
        router.add(.post, "/api/files/uploads", tus(create))
        router.add(.options, "/api/files/uploads/{file_id}", capabilities)
        router.add(.head, "/api/files/uploads/{file_id}", tus(head))
        router.add(.patch, "/api/files/uploads/{file_id}", tus(patch))
        router.add(.delete, "/api/files/uploads/{file_id}", tus(terminate))
        router.add(.post, "/api/files/uploads/{file_id}", tus(override))
    }

    // MARK: - Every request

    private typealias TusHandler = @Sendable (Request, Caller) async throws -> Response

    /// Every request but `OPTIONS` names the protocol's version, and so does every answer, an error's too.
    private func tus(_ handler: @escaping TusHandler) -> Handler {
        { request in
            var response: Response
            do {
                let caller = try await authenticate(request)
                guard try Tus.single("Tus-Resumable", request.headers) == Tus.version else {
                    throw Problem(
                        412,
                        .preconditionFailed,
                        "Tus-Resumable: must be \(Tus.version)",
                        headers: [Problem.Header("Tus-Version", Tus.version)]
                    )
                }
                response = try await handler(request, caller)
            } catch let error as any ProblemConvertible {
                response = Response(error.problem)
            }
            response.headers["Tus-Resumable"] = Tus.version
            // An upload goes on: no cache may keep what was said of it, nor that there is none.
            response.headers["Cache-Control"] = "no-store"
            return response
        }
    }

    @Sendable private func capabilities(_ request: Request) -> Response {
        Response(
            .noContent,
            headers: [
                "Tus-Resumable": Tus.version,
                "Tus-Version": Tus.version,
                "Tus-Extension": Tus.extensions,
                "Tus-Max-Size": String(uploads.files.limits.fileBytesMax),
                "Tus-Checksum-Algorithm": TusChecksum.algorithms,
            ]
        )
    }

    // MARK: - Creation

    @Sendable private func create(_ request: Request, by caller: Caller) async throws -> Response {
        let headers = request.headers
        for name in ["Upload-Defer-Length", "Upload-Concat"] where headers[name] != nil {
            throw Problem.badRequest("\(name): this server does not have that extension")
        }
        guard let length = try Tus.bytes("Upload-Length", headers) else {
            throw Problem.badRequest("Upload-Length: is required")
        }
        let metadata = try TusMetadata(Tus.single("Upload-Metadata", headers))
        let progress: PartialUploads.Progress
        let hasBody = headers["Content-Type"].map(Self.isPart) ?? false
        if hasBody {
            let checksum = try Self.checksum(headers)
            progress = try await uploads.create(
                length: length,
                metadata: metadata,
                by: caller,
                first: request.body,
                checksum: checksum
            )
        } else {
            guard request.body.announcedLength == 0 else { throw Self.notAPart }
            progress = try await uploads.create(length: length, metadata: metadata, by: caller)
        }
        let id = progress.upload.id
        log.info(
            "upload_created",
            [
                "request_id": .string(request.id), "file_id": .string(id), "user_id": .string(caller.userID),
                "size": .int(length),
            ]
        )
        logFile(progress, request)
        var response = Response(.created, headers: ["Location": "/api/files/uploads/\(id)"])
        if hasBody { response.headers["Upload-Offset"] = String(progress.offset) }
        Self.addExpiry(progress, to: &response)
        return response
    }

    // MARK: - One upload

    @Sendable private func head(_ request: Request, by caller: Caller) async throws -> Response {
        let progress = try await uploads.progress(Self.id(request), of: caller)
        logFile(progress, request)
        var response = Response(
            headers: [
                "Upload-Offset": String(progress.offset),
                "Upload-Length": String(progress.upload.length),
            ]
        )
        if !progress.upload.metadata.isEmpty { response.headers["Upload-Metadata"] = progress.upload.metadata }
        Self.addExpiry(progress, to: &response)
        return response
    }

    @Sendable private func patch(_ request: Request, by caller: Caller) async throws -> Response {
        guard let contentType = request.headers["Content-Type"], Self.isPart(contentType) else { throw Self.notAPart }
        guard let offset = try Tus.bytes("Upload-Offset", request.headers) else {
            throw Problem.badRequest("Upload-Offset: is required")
        }
        let part = PartialUploads.Part(
            offset: offset,
            checksum: try Self.checksum(request.headers),
            body: request.body
        )
        let progress = try await uploads.receive(part, of: Self.id(request), by: caller)
        logFile(progress, request)
        var response = Response(.noContent, headers: ["Upload-Offset": String(progress.offset)])
        Self.addExpiry(progress, to: &response)
        return response
    }

    @Sendable private func terminate(_ request: Request, by caller: Caller) async throws -> Response {
        let id = Self.id(request)
        try await uploads.terminate(id, by: caller)
        log.info(
            "upload_terminated",
            ["request_id": .string(request.id), "file_id": .string(id), "user_id": .string(caller.userID)]
        )
        return Response(.noContent)
    }

    /// For clients that cannot send `PATCH` or `DELETE`.
    @Sendable private func override(_ request: Request, by caller: Caller) async throws -> Response {
        switch try Tus.single("X-HTTP-Method-Override", request.headers) {
        case Method.patch.rawValue: return try await patch(request, by: caller)
        case Method.delete.rawValue: return try await terminate(request, by: caller)
        default:
            throw Problem(
                405,
                .methodNotAllowed,
                "method: POST needs X-HTTP-Method-Override: PATCH or DELETE here",
                headers: [Problem.Header("Allow", "DELETE, HEAD, OPTIONS, PATCH")]
            )
        }
    }

    // MARK: -

    private static let notAPart = FilesError.unsupportedMediaType("Content-Type: must be \(Tus.mediaType)")

    private static func isPart(_ contentType: String) -> Bool { MediaType.essence(contentType) == Tus.mediaType }

    private static func id(_ request: Request) -> String { request.parameters["file_id"] ?? "" }

    private static func checksum(_ headers: Headers) throws(Problem) -> TusChecksum? {
        guard let text = try Tus.single("Upload-Checksum", headers) else { return nil }
        return try TusChecksum(text)
    }

    /// A complete upload's file does not expire.
    private static func addExpiry(_ progress: PartialUploads.Progress, to response: inout Response) {
        guard progress.upload.state == .open else { return }
        response.headers["Upload-Expires"] = HTTPDate.text(progress.upload.expiresAt)
    }

    private func logFile(_ progress: PartialUploads.Progress, _ request: Request) {
        if let record = progress.record { FileStore.logUpload(record, request, log) }
    }
}
