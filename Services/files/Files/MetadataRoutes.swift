import Contracts
import Core
import HTTP
import ServiceKit

/// `GET` and `DELETE /api/files/{file_id}`: a file's document, and its end.
struct MetadataRoutes: RouteGroup {
    private let files: FileStore
    private let authenticate: Authenticate
    private let log: Log

    init(_ files: FileStore, authenticate: @escaping Authenticate, log: Log) {
        self.files = files
        self.authenticate = authenticate
        self.log = log
    }

    func register(in router: inout Router) {
        router.add(.get, "/api/files/{file_id}") { request in
            let caller = try await authenticate(request)
            let record = try await files.readable(request.parameters["file_id"] ?? "", by: caller)
            var response = try Response.json(record.document)
            response.headers["Cache-Control"] = "private, no-cache"
            return response
        }
        router.add(.delete, "/api/files/{file_id}") { request in
            let caller = try await authenticate(request)
            let record = try await files.remove(request.parameters["file_id"] ?? "", by: caller)
            log.info(
                "file_deleted",
                [
                    "request_id": .string(request.id), "file_id": .string(record.id),
                    "user_id": .string(caller.userID), "uploader_id": .string(record.uploaderID),
                ]
            )
            return Response(.noContent)
        }
    }
}
