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
    /// One instance at a time (`BlobStore.exclusively`). Of several, each comes with a directory of its own that is
    /// meant to be the same one: once the database has an id, no directory gets one, empty or not.
    ///
    /// - Throws: `Mismatch`.
    static func check(_ index: SQLiteFileIndex, _ blobs: BlobStore) async throws {
        let (ofIndex, ofBlobs) = (try await index.storeID(), try await blobs.storeID())
        let mismatch = Mismatch(database: index.database.path, directory: blobs.directory)
        if let ofIndex, ofIndex == ofBlobs { return }
        guard ofIndex == nil || blobs.sharing == .exclusive else { throw mismatch }
        let (isIndexEmpty, areBlobsEmpty) = (try await index.isEmpty(), try await blobs.isEmpty())
        let isNew = isIndexEmpty && areBlobsEmpty
        // From before there were ids.
        let isOlder = !isIndexEmpty && !areBlobsEmpty && ofBlobs == nil
        guard isNew || isOlder else { throw mismatch }
        let id = ofIndex ?? ofBlobs ?? SecureRandom.token(bytes: 16)
        do {
            // The directory first: the database's is what other instances go by.
            try await blobs.setStoreID(id)
            guard try await index.setStoreID(id, replacing: ofIndex) else { throw mismatch }
        } catch FilesError.storageFull {
            // The next start has room for it, or the one after.
        }
    }

    /// Compares the ids of a database that is to be imported and of the directory that stays.
    ///
    /// - Throws: `ImportRefusal` when instances of files would not take the directory for the database's.
    static func checkImport(of database: Connection, blobs directory: String) throws {
        let hasTable = try database.first("SELECT 1 FROM sqlite_schema WHERE name = 'store'") { _ in true } ?? false
        let ofDatabase = hasTable ? try database.first("SELECT store_id FROM store") { $0.string(0) } : nil
        let ofDirectory = try BlobStore.storeID(in: directory)
        guard ofDatabase == ofDirectory else {
            throw ImportRefusal(
                Mismatch(database: database.path, directory: directory).description
                    + " The directory of the blobs is the setting files.directory, or else files under data_dir."
            )
        }
    }
}

extension SQLiteFileIndex {
    /// The id of the store that the records are of.
    func storeID() async throws -> String? {
        try await look { db in try db.first("SELECT store_id FROM store") { $0.string(0) } }
    }

    /// Sets the id if it is `expected`, `nil` for none.
    ///
    /// - Returns: Whether it was.
    func setStoreID(_ id: String, replacing expected: String?) async throws -> Bool {
        try await add { db in
            guard try db.first("SELECT store_id FROM store", read: { $0.string(0) }) == expected else { return false }
            try db.run("DELETE FROM store")
            try db.run("INSERT INTO store (store_id) VALUES (?)", id)
            return true
        }
    }

    /// Whether there is neither a file nor an upload that is to become one.
    func isEmpty() async throws -> Bool {
        try await look { db in
            let sql = "SELECT 1 FROM file UNION ALL SELECT 1 FROM partial_upload WHERE state = 0 LIMIT 1"
            return try db.first(sql) { _ in true } == nil
        }
    }
}

extension BlobStore {
    /// The id of the store that the blobs are of.
    func storeID() async throws -> String? {
        let directory = directory
        return try await onDisk { try Self.storeID(in: directory) }
    }

    /// The same of a directory that no store has open.
    static func storeID(in directory: String) throws -> String? {
        try SystemCall.contents(identityPath(in: directory), countMax: identityBytesMax).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    func setStoreID(_ id: String) async throws {
        let (path, directory) = (Self.identityPath(in: directory), directory)
        try await onDisk { try SystemCall.replace(path, in: directory, with: Array(id.utf8)) }
    }

    /// Whether there is neither a blob nor an upload's file.
    func isEmpty() async throws -> Bool {
        let directories = Self.shards.map(shard) + [partialDirectory, trashDirectory]
        return try await onDisk { try directories.allSatisfy { try SystemCall.names(in: $0).isEmpty } }
    }

    private static func identityPath(in directory: String) -> String { directory + "/store.id" }

    /// More than any id has.
    private static let identityBytesMax = 64
}
