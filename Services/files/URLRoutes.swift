import Core
import HTTP
import ServiceKit

/// `POST /api/files/{file_id}/url`: a URL of a file that its reader may read, good without a session for a while.
struct URLRoutes: RouteGroup {
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
        router.add(.post, "/api/files/{file_id}/url") { request in
            let caller = try await authenticate(request)
            let record = try await files.readable(request.parameters["file_id"] ?? "", by: caller)
            var response = try Response.json(signer.sign(record.id, now: now()))
            response.headers["Cache-Control"] = "no-store"
            return response
        }
    }
}
