import Contracts
import Core
import HTTP
import ServiceKit

/// `POST /api/files/upload`: one file in one request, streamed to the disk.
struct UploadRoutes: RouteGroup {
    /// What an upload may be.
    struct Limits: Sendable {
        /// The largest file sent as base64, in decoded bytes.
        var base64BytesMax: Int
    }

    private let files: FileStore
    private let authenticate: Authenticate
    private let slots: UploadSlots
    private let limits: Limits
    private let log: Log

    init(_ files: FileStore, authenticate: @escaping Authenticate, slots: UploadSlots, limits: Limits, log: Log) {
        self.files = files
        self.authenticate = authenticate
        self.slots = slots
        self.limits = limits
        self.log = log
    }

    func register(in router: inout Router) {
        router.add(.post, "/api/files/upload", upload)
    }

    /// Everything that can be refused without the body is refused before it is read.
    @Sendable private func upload(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        guard let contentType = request.headers["Content-Type"], MediaType.essence(contentType) == "application/json"
        else { throw FilesError.unsupportedMediaType("Content-Type: must be application/json") }
        let bodyBytesMax = UploadDocumentDecoder.documentBytesMax(fileBytesMax: limits.base64BytesMax)
        guard request.body.announcedLength ?? 0 <= bodyBytesMax else {
            throw FilesError.tooLarge(name: "file_data", bytesMax: limits.base64BytesMax)
        }
        let record = try await slots.with(caller.userID) { try await store(request.body, of: caller) }
        FileStore.logUpload(record, request, log)
        var response = try Response.json(record.document, status: .created)
        response.headers["Location"] = record.document.url
        return response
    }

    /// Writes the document's file as it arrives.
    ///
    /// However this ends, no temporary file is left.
    private func store(_ body: RequestBody, of caller: Caller) async throws -> FileRecord {
        let writer = files.blobs.makeWriter()
        do {
            var decoder = UploadDocumentDecoder(fileBytesMax: limits.base64BytesMax)
            var decoded: [UInt8] = []
            try await body.forEachChunk { piece in
                try decoder.feed(piece, into: &decoded)
                guard decoded.count >= BlobWriter.pieceBytes else { return }
                try await writer.append(decoded)
                decoded.removeAll()
            }
            let document = try decoder.finish()
            if !decoded.isEmpty { try await writer.append(decoded) }
            return try await files.add(try await writer.finish(), from: writer, document: document, by: caller)
        } catch {
            await writer.abandon()
            throw error
        }
    }
}
