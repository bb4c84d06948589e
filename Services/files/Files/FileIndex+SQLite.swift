import Core
import ServiceKit
import Storage

/// The metadata in SQLite.
struct SQLiteFileIndex: FileIndex {
    /// The database's, among the services.
    static let databaseName = "files"
    /// With `store=sqlite:DIR`.
    static let databaseFile = "files.sqlite"
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
        Migration(
            "0003 usage by user",
            // Triggers keep it, so that no way to add or remove a file forgets to.
            sql: """
                CREATE TABLE file_usage (
                    user_id TEXT NOT NULL PRIMARY KEY,
                    files INTEGER NOT NULL,
                    bytes INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                INSERT INTO file_usage (user_id, files, bytes)
                    SELECT uploader_id, count(*), sum(size) FROM file GROUP BY uploader_id;
                CREATE TRIGGER file_usage_added AFTER INSERT ON file BEGIN
                    INSERT INTO file_usage (user_id, files, bytes) VALUES (NEW.uploader_id, 1, NEW.size)
                        ON CONFLICT (user_id) DO UPDATE SET files = files + 1, bytes = bytes + excluded.bytes;
                END;
                CREATE TRIGGER file_usage_removed AFTER DELETE ON file BEGIN
                    UPDATE file_usage SET files = files - 1, bytes = bytes - OLD.size WHERE user_id = OLD.uploader_id;
                    DELETE FROM file_usage WHERE user_id = OLD.uploader_id AND files = 0;
                END;
                """
        ),
        Migration(
            "0004 image dimensions",
            // Of images from before it they stay unknown.
            sql: "ALTER TABLE file ADD COLUMN width INTEGER; ALTER TABLE file ADD COLUMN height INTEGER;"
        ),
        partialUploadMigration,
        Migration(
            "0006 store id",
            sql: "CREATE TABLE store (store_id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;"
        ),
        Migration(
            "0007 removals of blobs",
            sql: """
                CREATE TABLE blob_removal (
                    shard TEXT NOT NULL PRIMARY KEY,
                    removals INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;
                """
        ),
    ]

    let database: Database
    private let reserve: DiskReserve

    /// - Parameter database: Opened with `migrations`.
    init(_ database: Database) {
        self.database = database
        reserve = DiskReserve(path: database.path + ".reserve")
    }

    // MARK: - On a full disk

    /// Keeps some room for deletions, if there is any.
    func fillReserve() async {
        guard !reserve.isFilled else { return }
        // On the database's queue, since it is written to the disk.
        try? await database.withConnection { _ in reserve.fill() }
    }

    /// Makes a change that takes room.
    ///
    /// - Throws: `FilesError.storageFull` when there is none; nothing is stored then.
    @discardableResult
    func add<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) async throws -> Value {
        do { return try await database.write(body) } catch let error as SQLiteError where error.isFull {
            throw FilesError.storageFull
        }
    }

    /// Makes a change that gives room back, with what is kept for it when there is none.
    ///
    /// A change log takes it without room as well.
    @discardableResult
    func release<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) async throws -> Value {
        await fillReserve()
        do {
            return try await database.write(evenWhenFull: true, body)
        } catch let error as SQLiteError where error.isFull {
            try await makeRoom()
            do {
                return try await database.write(evenWhenFull: true, body)
            } catch let error as SQLiteError where error.isFull {
                throw FilesError.storageFull
            }
        }
    }

    /// Reads, with what is kept when there is no room: a copy takes in what others have changed first.
    func look<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) async throws -> Value {
        do { return try await database.read(body) } catch let error as SQLiteError where error.isFull {
            try await makeRoom()
            return try await database.read(body)
        }
    }

    private func makeRoom() async throws {
        try await database.withConnection { db in
            reserve.give()
            // The log is used from its beginning again once all of it is in the file.
            _ = try? db.checkpoint(.restart)
        }
    }

    // MARK: - Files

    func insert(_ record: FileRecord, within limits: UploadLimits, removals: Int) async throws {
        try await add { db in try Self.insert(record, within: limits, removals, db) }
    }

    /// Counts and stores in the transaction in hand.
    static func insert(_ record: FileRecord, within limits: UploadLimits, _ removals: Int, _ db: Connection) throws {
        guard try Self.removals(of: record.sha256, db) == removals else { throw BlobsRemoved() }
        let bytesLeft = try limits.bytesLeft(try Self.usage(of: record.uploaderID, db))
        guard record.size <= bytesLeft else { throw limits.bytesExceeded }
        try db.run(
            """
            INSERT INTO file
                (file_id, sha256, size, file_name, content_type, uploader_id, created_at, width, height)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            record.id,
            record.sha256,
            record.size,
            record.fileName,
            record.contentType,
            record.uploaderID,
            record.createdAt.milliseconds,
            record.dimensions?.width,
            record.dimensions?.height
        )
    }

    func usage(of userID: String) async throws -> FileUsage {
        try await look { db in try Self.usage(of: userID, db) }
    }

    func lookUp(_ id: String, grantedTo userID: String) async throws -> (record: FileRecord, isGranted: Bool)? {
        try await look { db in
            try db.first(
                """
                SELECT sha256, size, file_name, content_type, uploader_id, created_at, width, height,
                    EXISTS (SELECT 1 FROM file_grant g WHERE g.file_id = f.file_id AND g.user_id = ?)
                FROM file f WHERE file_id = ?
                """,
                userID,
                id
            ) { row in
                let dimensions = row.optionalInt64(6).flatMap { width in
                    row.optionalInt64(7).map { ImageDimensions(width: Int(width), height: Int($0)) }
                }
                let record = FileRecord(
                    id: id,
                    sha256: row.string(0),
                    size: row.int(1),
                    fileName: row.string(2),
                    contentType: row.string(3),
                    uploaderID: row.string(4),
                    createdAt: Timestamp(milliseconds: row.int64(5)),
                    dimensions: dimensions
                )
                return (record, row.bool(8))
            }
        }
    }

    func grant(_ id: String, to userIDs: [String], source: String) async throws -> Bool {
        try await add { db in
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
        try await release { db in
            try db.run("DELETE FROM file_grant WHERE file_id = ? AND source = ?", id, source)
        }
    }

    func remove(_ id: String) async throws -> Bool? {
        try await release { db in
            guard let sha256 = try db.first("SELECT sha256 FROM file WHERE file_id = ?", id, read: { $0.string(0) })
            else { return nil }
            try db.run("DELETE FROM file WHERE file_id = ?", id)
            // An upload that was its beginning ends with it.
            try db.run("DELETE FROM partial_upload WHERE file_id = ?", id)
            return try !Self.isReferenced(sha256, db)
        }
    }

    func removals(of sha256: String) async throws -> Int {
        try await look { db in try Self.removals(of: sha256, db) }
    }

    func condemn(sha256: String) async throws -> Bool {
        try await release { db in
            guard try !Self.isReferenced(sha256, db) else { return false }
            try db.run(
                """
                INSERT INTO blob_removal (shard, removals) VALUES (?, 1)
                    ON CONFLICT (shard) DO UPDATE SET removals = removals + 1
                """,
                BlobStore.shard(of: sha256)
            )
            return true
        }
    }

    func isReferenced(sha256: String) async throws -> Bool {
        try await look { db in try Self.isReferenced(sha256, db) }
    }

    func blobs(prefix: String) async throws -> Set<String> {
        try await look { db in
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
        _ = try await look { db in try db.first("SELECT 1 FROM file LIMIT 1") { _ in true } }
    }

    /// The files' usage is kept by triggers; unfinished uploads are few, and counted.
    static func usage(of userID: String, _ db: Connection) throws -> FileUsage {
        let files =
            try db.first("SELECT files, bytes FROM file_usage WHERE user_id = ?", userID) { row in
                FileUsage(files: row.int(0), bytes: row.int(1))
            } ?? FileUsage()
        let unfinished = try db.first(
            "SELECT count(*), coalesce(sum(length), 0) FROM partial_upload WHERE uploader_id = ? AND state = 0",
            userID
        ) { row in FileUsage(files: row.int(0), bytes: row.int(1)) }
        return FileUsage(
            files: files.files + (unfinished?.files ?? 0),
            bytes: files.bytes + (unfinished?.bytes ?? 0)
        )
    }

    private static func removals(of sha256: String, _ db: Connection) throws -> Int {
        let sql = "SELECT removals FROM blob_removal WHERE shard = ?"
        return try db.first(sql, BlobStore.shard(of: sha256)) { $0.int(0) } ?? 0
    }

    private static func isReferenced(_ sha256: String, _ db: Connection) throws -> Bool {
        try db.first("SELECT 1 FROM file WHERE sha256 = ? LIMIT 1", sha256) { _ in true } ?? false
    }
}
