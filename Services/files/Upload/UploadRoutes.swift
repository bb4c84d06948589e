import Contracts
import Core
import HTTP
import ServiceKit

/// `POST /api/files/upload`: one file in one request, streamed to the disk.
struct UploadRoutes: RouteGroup {
    private let files: FileStore
    private let authenticate: Authenticate
    private let slots: UploadSlots
    private let log: Log

    init(_ files: FileStore, authenticate: @escaping Authenticate, slots: UploadSlots, log: Log) {
        self.files = files
        self.authenticate = authenticate
        self.slots = slots
        self.log = log
    }

    func register(in router: inout Router) {
        router.add(.post, "/api/files/upload", upload)
    }

    /// Everything that can be refused without the body is refused before it is read.
    @Sendable private func upload(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        let decoder = try decoder(for: request)
        let record = try await slots.with(caller) { try await store(request.body, decoder, of: caller) }
        FileStore.logUpload(record, request, log)
        var response = try Response.json(record.document, status: .created)
        response.headers["Location"] = record.document.url
        return response
    }

    /// What reads the request's body, unless its `Content-Length` says that this is in vain.
    private func decoder(for request: Request) throws(FilesError) -> any UploadDecoder {
        let contentType = request.headers["Content-Type"] ?? ""
        let announced = request.body.announcedLength ?? 0
        switch MediaType.essence(contentType) {
        case "application/json":
            let bytesMax = files.limits.base64BytesMax
            guard announced <= UploadDocumentDecoder.documentBytesMax(fileBytesMax: bytesMax) else {
                throw .tooLarge(name: "file_data", bytesMax: bytesMax)
            }
            return UploadDocumentDecoder(fileBytesMax: bytesMax)
        case "multipart/form-data":
            let bytesMax = files.limits.fileBytesMax
            guard announced <= UploadFormDecoder.bodyBytesMax(fileBytesMax: bytesMax) else {
                throw .tooLarge(name: "file", bytesMax: bytesMax)
            }
            return try UploadFormDecoder(contentType: contentType, fileBytesMax: bytesMax)
        default:
            throw .unsupportedMediaType("Content-Type: must be application/json or multipart/form-data")
        }
    }

    /// Writes the upload's file as it arrives.
    ///
    /// However this ends, no temporary file is left.
    private func store(
        _ body: RequestBody,
        _ decoder: any UploadDecoder,
        of caller: Caller
    ) async throws -> FileRecord {
        let bytesLeft = try await files.bytesLeft(of: caller)
        let writer = files.blobs.makeWriter()
        do {
            var decoder = decoder
            var decoded: [UInt8] = []
            var written = 0
            try await body.forEachChunk { piece in
                try decoder.feed(piece, into: &decoded)
                // Counted with the record in the end; this spares the disk what is too much for certain.
                guard written + decoded.count <= bytesLeft else { throw files.limits.bytesExceeded }
                guard decoded.count >= BlobWriter.pieceBytes else { return }
                try await writer.append(decoded)
                written += decoded.count
                decoded.removeAll()
            }
            let document = try decoder.finish()
            if !decoded.isEmpty { try await writer.append(decoded) }
            let record = try await files.add(try await writer.finish(), from: writer, document: document, by: caller)
            await writer.discard()
            return record
        } catch {
            await writer.discard()
            throw error
        }
    }
}
