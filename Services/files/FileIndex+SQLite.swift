import Core
import Storage

/// The metadata in SQLite.
struct SQLiteFileIndex: FileIndex {
    /// Every step of the schema ever released.
    static let migrations: [Migration] = [
        Migration(
            "0001 files and grants",
            sql: """
                CREATE TABLE file (
                    file_id TEXT NOT NULL PRIMARY KEY,
                    sha256 TEXT NOT NULL,
                    size INTEGER NOT NULL,
                    file_name TEXT NOT NULL,
                    content_type TEXT NOT NULL,
                    uploader_id TEXT NOT NULL,
                    created_at INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                CREATE INDEX file_by_blob ON file (sha256);
                CREATE TABLE file_grant (
                    file_id TEXT NOT NULL REFERENCES file (file_id) ON DELETE CASCADE,
                    user_id TEXT NOT NULL,
                    PRIMARY KEY (file_id, user_id)
                ) STRICT, WITHOUT ROWID;
                """
        ),
        Migration(
            "0002 grants by source",
            sql: """
                CREATE TABLE file_grant_new (
                    file_id TEXT NOT NULL REFERENCES file (file_id) ON DELETE CASCADE,
                    user_id TEXT NOT NULL,
                    source TEXT NOT NULL,
                    PRIMARY KEY (file_id, user_id, source)
                ) STRICT, WITHOUT ROWID;
                INSERT INTO file_grant_new (file_id, user_id, source) SELECT file_id, user_id, '' FROM file_grant;
                DROP TABLE file_grant;
                ALTER TABLE file_grant_new RENAME TO file_grant;
                CREATE INDEX file_grant_by_source ON file_grant (file_id, source);
                """
        ),
        partialUploadMigration,
    ]

    let database: Database

    /// - Parameter database: Opened with `migrations`.
    init(_ database: Database) { self.database = database }

    func insert(_ record: FileRecord) async throws {
        try await database.write { db in try Self.insert(record, db) }
    }

    static func insert(_ record: FileRecord, _ db: Connection) throws {
        try db.run(
            """
            INSERT INTO file (file_id, sha256, size, file_name, content_type, uploader_id, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            record.id,
            record.sha256,
            record.size,
            record.fileName,
            record.contentType,
            record.uploaderID,
            record.createdAt.milliseconds
        )
    }

    func lookUp(_ id: String, grantedTo userID: String) async throws -> (record: FileRecord, isGranted: Bool)? {
        try await database.read { db in
            try db.first(
                """
                SELECT sha256, size, file_name, content_type, uploader_id, created_at,
                    EXISTS (SELECT 1 FROM file_grant g WHERE g.file_id = f.file_id AND g.user_id = ?)
                FROM file f WHERE file_id = ?
                """,
                userID,
                id
            ) { row in
                let record = FileRecord(
                    id: id,
                    sha256: row.string(0),
                    size: row.int(1),
                    fileName: row.string(2),
                    contentType: row.string(3),
                    uploaderID: row.string(4),
                    createdAt: Timestamp(milliseconds: row.int64(5))
                )
                return (record, row.bool(6))
            }
        }
    }

    func grant(_ id: String, to userIDs: [String], source: String) async throws -> Bool {
        try await database.write { db in
            guard try db.first("SELECT 1 FROM file WHERE file_id = ?", id, read: { _ in true }) != nil else {
                return false
            }
            for userID in userIDs {
                try db.run(
                    "INSERT INTO file_grant (file_id, user_id, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    id,
                    userID,
                    source
                )
            }
            return true
        }
    }

    func revoke(_ id: String, source: String) async throws {
        _ = try await database.write { db in
            try db.run("DELETE FROM file_grant WHERE file_id = ? AND source = ?", id, source)
        }
    }

    func remove(_ id: String) async throws -> Bool? {
        try await database.write { db in
            guard let sha256 = try db.first("SELECT sha256 FROM file WHERE file_id = ?", id, read: { $0.string(0) })
            else { return nil }
            try db.run("DELETE FROM file WHERE file_id = ?", id)
            // An upload that was its beginning ends with it.
            try db.run("DELETE FROM partial_upload WHERE file_id = ?", id)
            return try !Self.isReferenced(sha256, db)
        }
    }

    func isReferenced(sha256: String) async throws -> Bool {
        try await database.read { db in try Self.isReferenced(sha256, db) }
    }

    func blobs(prefix: String) async throws -> Set<String> {
        try await database.read { db in
            // 'g' sorts right behind the hexadecimal digits.
            let blobs = try db.rows(
                "SELECT DISTINCT sha256 FROM file WHERE sha256 >= ? AND sha256 < ?",
                prefix,
                prefix + "g"
            ) { $0.string(0) }
            return Set(blobs)
        }
    }

    func ping() async throws {
        _ = try await database.read { db in try db.first("SELECT 1 FROM file LIMIT 1") { _ in true } }
    }

    private static func isReferenced(_ sha256: String, _ db: Connection) throws -> Bool {
        try db.first("SELECT 1 FROM file WHERE sha256 = ? LIMIT 1", sha256) { _ in true } ?? false
    }
}
