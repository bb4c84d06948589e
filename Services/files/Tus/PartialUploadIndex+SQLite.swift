import Core
import ServiceKit
import Storage

extension SQLiteFileIndex: PartialUploadIndex {
    /// Uploads that come in parts.
    static let partialUploadMigration = Migration(
        "0005 partial uploads",
        sql: """
            CREATE TABLE partial_upload (
                file_id TEXT NOT NULL PRIMARY KEY,
                uploader_id TEXT NOT NULL,
                length INTEGER NOT NULL,
                metadata TEXT NOT NULL,
                file_name TEXT NOT NULL,
                declared_type TEXT NOT NULL,
                created_at INTEGER NOT NULL,
                expires_at INTEGER NOT NULL,
                state INTEGER NOT NULL,
                verified_length INTEGER
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX partial_upload_open ON partial_upload (uploader_id) WHERE state = 0;
            CREATE INDEX partial_upload_by_expiry ON partial_upload (expires_at);
            """
    )

    func insert(_ upload: PartialUpload, within limits: UploadLimits) async throws {
        try await add { db in
            let bytesLeft = try limits.bytesLeft(try Self.usage(of: upload.uploaderID, db))
            guard upload.length <= bytesLeft else { throw limits.bytesExceeded }
            let count = try db.first(
                "SELECT count(*) FROM partial_upload WHERE uploader_id = ? AND state = 0 AND expires_at > ?",
                upload.uploaderID,
                upload.createdAt.milliseconds
            ) { $0.int(0) }
            try limits.checkUnfinished(count ?? 0)
            try db.run(
                """
                INSERT INTO partial_upload (file_id, uploader_id, length, metadata, file_name, declared_type,
                    created_at, expires_at, state, verified_length)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                upload.id,
                upload.uploaderID,
                upload.length,
                upload.metadata,
                upload.document.fileName,
                upload.document.declaredType,
                upload.createdAt.milliseconds,
                upload.expiresAt.milliseconds,
                upload.state.rawValue,
                upload.verifiedLength
            )
        }
    }

    func upload(_ id: String) async throws -> PartialUpload? {
        try await look { db in
            try db.first(
                """
                SELECT uploader_id, length, metadata, file_name, declared_type, created_at, expires_at, state,
                    verified_length
                FROM partial_upload WHERE file_id = ?
                """,
                id
            ) { row in
                PartialUpload(
                    id: id,
                    uploaderID: row.string(0),
                    length: row.int(1),
                    metadata: row.string(2),
                    document: UploadDocument(fileName: row.string(3), declaredType: row.string(4)),
                    createdAt: Timestamp(milliseconds: row.int64(5)),
                    expiresAt: Timestamp(milliseconds: row.int64(6)),
                    state: PartialUpload.State(rawValue: row.int(7)) ?? .removed,
                    verifiedLength: row.optionalInt64(8).map(Int.init)
                )
            }
        }
    }

    func update(_ id: String, expiresAt: Timestamp, verifiedLength: Int?) async throws {
        try await add { db in
            let changed = try db.run(
                "UPDATE partial_upload SET expires_at = ?, verified_length = ? WHERE file_id = ? AND state = 0",
                expiresAt.milliseconds,
                verifiedLength,
                id
            )
            guard changed == 1 else { throw FilesError.fileNotFound }
        }
    }

    func complete(
        _ record: FileRecord,
        within limits: UploadLimits,
        expiresAt: Timestamp,
        removals: Int
    ) async throws {
        try await add { db in
            // First, so that the upload does not count beside the file that it becomes.
            let changed = try db.run(
                """
                UPDATE partial_upload SET state = 1, expires_at = ?, verified_length = NULL
                WHERE file_id = ? AND state = 0
                """,
                expiresAt.milliseconds,
                record.id
            )
            guard changed == 1 else { throw FilesError.fileNotFound }
            try Self.insert(record, within: limits, removals, db)
        }
    }

    func markRemoved(_ id: String, at time: Timestamp) async throws -> Bool {
        try await release { db in
            try db.run(
                "UPDATE partial_upload SET state = 2 WHERE file_id = ? AND state = 0 AND expires_at <= ?",
                id,
                time.milliseconds
            ) > 0
        }
    }

    func removeUpload(_ id: String) async throws -> Bool {
        try await release { db in
            try db.run("DELETE FROM partial_upload WHERE file_id = ? AND state = 0", id) > 0
        }
    }

    func expiredUploads(at time: Timestamp, countMax: Int) async throws -> [String] {
        try await look { db in
            try db.rows(
                """
                SELECT file_id FROM partial_upload WHERE expires_at <= ? AND state = 0 ORDER BY expires_at LIMIT ?
                """,
                time.milliseconds,
                countMax
            ) { $0.string(0) }
        }
    }

    func removeUploads(expiredBefore time: Timestamp, countMax: Int) async throws -> Int {
        try await release { db in
            try db.run(
                """
                DELETE FROM partial_upload WHERE file_id IN (
                    SELECT file_id FROM partial_upload WHERE expires_at < ? AND state <> 0 LIMIT ?)
                """,
                time.milliseconds,
                countMax
            )
        }
    }

    func openUploads() async throws -> Set<String> {
        try await look { db in
            Set(try db.rows("SELECT file_id FROM partial_upload WHERE state = 0") { $0.string(0) })
        }
    }
}
