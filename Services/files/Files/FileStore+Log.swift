import Core
import HTTP

extension FileStore {
    /// Notes that a request has made a file.
    static func logUpload(_ record: FileRecord, _ request: Request, _ log: Log) {
        log.info(
            "file_uploaded",
            [
                "request_id": .string(request.id), "file_id": .string(record.id),
                "user_id": .string(record.uploaderID), "size": .int(record.size),
                "content_type": .string(record.contentType),
            ]
        )
    }
}
