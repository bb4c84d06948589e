import Crypto
import Storage

/// Keeps the database and the directory of the blobs together: both hold the same random id.
///
/// A start removes what no record has, and uploads without bytes. With another store's database, or while a volume is
/// not mounted, that would be everything.
enum StoreIdentity {
    /// The database and the directory are not one store's.
    struct Mismatch: Error, Equatable, CustomStringConvertible {
        let database: String
        let directory: String

        var description: String {
            "\(database) and \(directory) do not belong together, and what the one does not know would be removed from "
                + "the other. Give the two that do (store, data_dir, files.directory, volumes), or move one away."
        }
    }

    /// Compares the ids before anything is removed, and gives a store its id that has none.
    ///
    /// - Throws: `Mismatch`.
    static func check(_ index: SQLiteFileIndex, _ blobs: BlobStore) async throws {
        let (ofIndex, ofBlobs) = (try await index.storeID(), try await blobs.storeID())
        if let ofIndex, ofIndex == ofBlobs { return }
        let (isIndexEmpty, areBlobsEmpty) = (try await index.isEmpty(), try await blobs.isEmpty())
        let isNew = isIndexEmpty && areBlobsEmpty
        // From before there were ids.
        let isOlder = !isIndexEmpty && !areBlobsEmpty && ofBlobs == nil
        guard isNew || isOlder else {
            throw Mismatch(database: index.database.path, directory: blobs.directory)
        }
        let id = ofIndex ?? ofBlobs ?? SecureRandom.token(bytes: 16)
        do {
            try await index.setStoreID(id)
            try await blobs.setStoreID(id)
        } catch FilesError.storageFull {
            // The next start has room for it, or the one after.
        }
    }
}

extension SQLiteFileIndex {
    /// The id of the store that the records are of.
    func storeID() async throws -> String? {
        try await database.read { db in try db.first("SELECT store_id FROM store") { $0.string(0) } }
    }

    func setStoreID(_ id: String) async throws {
        try await add { db in
            try db.run("DELETE FROM store")
            try db.run("INSERT INTO store (store_id) VALUES (?)", id)
        }
    }

    /// Whether there is neither a file nor an upload that is to become one.
    func isEmpty() async throws -> Bool {
        try await database.read { db in
            let sql = "SELECT 1 FROM file UNION ALL SELECT 1 FROM partial_upload WHERE state = 0 LIMIT 1"
            return try db.first(sql) { _ in true } == nil
        }
    }
}

extension BlobStore {
    /// The id of the store that the blobs are of.
    func storeID() async throws -> String? {
        let path = identityPath
        return try await onDisk {
            try SystemCall.contents(path, countMax: Self.identityBytesMax).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    func setStoreID(_ id: String) async throws {
        let (path, directory) = (identityPath, directory)
        try await onDisk { try SystemCall.replace(path, in: directory, with: Array(id.utf8)) }
    }

    /// Whether there is neither a blob nor an upload's file.
    func isEmpty() async throws -> Bool {
        let directories = Self.shards.map(shard) + [partialDirectory]
        return try await onDisk { try directories.allSatisfy { try SystemCall.names(in: $0).isEmpty } }
    }

    private var identityPath: String { directory + "/store.id" }
    /// More than any id has.
    private static let identityBytesMax = 64
}
