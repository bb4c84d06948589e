import Core
import Crypto
import ServiceKit
import Storage

/// Files as users know them: the index and the blobs together, and who may do what.
///
/// A blob is on the disk before its record is, and goes after its last record has gone, so that a record always has
/// its blob. A crash in between leaves a blob without a record, which the next start removes; `FileCollector` looks for
/// what is left otherwise.
///
/// That holds over several instances, which no lock keeps apart, since the index has one order for what all of them do.
/// An uploader reads the shard's count of removals, publishes the blob, keeps a name of its own for it, and stores the
/// record only if the count is still the same; else it publishes again. Who removes a blob moves it to the trash, then
/// condemns it in the index, which refuses while a record has it, and else counts; then unlinks it, or puts it back.
/// - The record first, then the condemnation: that is refused, and the blob put back. Readers look into the trash too.
/// - The condemnation first, then the record: the count was read after it, or the record was refused. So the blob was
///   published after it had been moved, and what is unlinked is the other name.
/// - A record whose uploader died waiting for the answer comes before the condemnation, or never: that is a step of the
///   index's history, and what was sent to follow an earlier one is refused.
struct FileStore: Sendable {
    /// How often a blob is published because others of its shard were removed.
    static let publishesMax = 50

    let index: any FileIndex
    let blobs: BlobStore
    let limits: UploadLimits
    let log: Log
    /// Publishing a blob with its record, and removing the last record with its blob, exclude each other in one
    /// instance, so that there no blob is ever on its way out and back.
    let gate = KeyGate()

    init(index: any FileIndex, blobs: BlobStore, limits: UploadLimits, log: Log) {
        self.index = index
        self.blobs = blobs
        self.limits = limits
        self.log = log
    }

    // MARK: - Access (DESIGN §3.2)

    /// The file, if `caller` may read it: the uploader, any agent, and whoever it was sent to.
    ///
    /// - Throws: `FilesError.fileNotFound` otherwise; whether it exists is not told.
    func readable(_ id: String, by caller: Caller) async throws -> FileRecord {
        guard FileRecord.isID(id), let found = try await index.lookUp(id, grantedTo: caller.userID) else {
            throw FilesError.fileNotFound
        }
        let mayRead = caller.userType == .agent || found.record.uploaderID == caller.userID || found.isGranted
        guard mayRead else { throw FilesError.fileNotFound }
        return found.record
    }

    /// The file, for whoever has a signed URL of it.
    ///
    /// - Throws: `FilesError.fileNotFound` if there is none.
    func signed(_ id: String) async throws -> FileRecord {
        guard FileRecord.isID(id), let found = try await index.lookUp(id, grantedTo: "") else {
            throw FilesError.fileNotFound
        }
        return found.record
    }

    /// Lets `userIDs` read the file that `sender` sends them, until `source` is revoked; empty: for good.
    ///
    /// Who got it by several sources reads it while one of them is left.
    ///
    /// - Throws: `FilesError.fileNotFound` if `sender` may not read it.
    func grant(_ id: String, to userIDs: [String], source: String, by sender: Caller) async throws -> FileRecord {
        let record = try await readable(id, by: sender)
        guard try await index.grant(id, to: userIDs, source: source) else { throw FilesError.fileNotFound }
        return record
    }

    /// Takes back what was granted for `source`; a file or source that is not known is no error.
    func revoke(_ id: String, source: String) async throws {
        guard FileRecord.isID(id) else { return }
        try await index.revoke(id, source: source)
    }

    // MARK: - Changes

    /// How many bytes `caller` may add, before any of them is read; `add` counts again.
    ///
    /// - Throws: `FilesError.quotaExceeded` when it is none, or no further file.
    func bytesLeft(of caller: Caller) async throws -> Int {
        try limits.bytesLeft(try await index.usage(of: caller.userID))
    }

    /// Makes a finished upload a file.
    ///
    /// - Throws: `FilesError.tooLarge` for its type, `.quotaExceeded`, `.storageFull`; nothing is kept then.
    func add(
        _ summary: BlobWriter.Summary,
        from writer: BlobWriter,
        document: UploadDocument,
        by caller: Caller
    ) async throws -> FileRecord {
        let record = makeRecord(FileRecord.makeID(), summary, document, uploaderID: caller.userID)
        return try await store(record, from: writer.path) { record, removals in
            try await index.insert(record, within: limits, removals: removals)
        }
    }

    /// What is recorded of an upload's content.
    func makeRecord(
        _ id: String,
        _ summary: BlobWriter.Summary,
        _ document: UploadDocument,
        uploaderID: String
    ) -> FileRecord {
        FileRecord(
            id: id,
            sha256: summary.sha256,
            size: summary.size,
            fileName: document.fileName,
            contentType: ContentSniffer.contentType(of: summary.head, declared: document.declaredType),
            uploaderID: uploaderID,
            createdAt: .now()
        )
    }

    /// Publishes the blob of `record`, then inserts the record with an image's dimensions; without the record the blob
    /// goes again.
    ///
    /// - Parameters:
    ///   - record: What is known of it.
    ///   - source: Its bytes; the file is left to the caller.
    ///   - insert: Gets the record and the number of removals that it is stored at only.
    /// - Throws: `FilesError.tooLarge` for its type; `StorageError.contended`; what `insert` throws.
    func store(
        _ record: FileRecord,
        from source: String,
        insert: (_ record: FileRecord, _ removals: Int) async throws -> Void
    ) async throws -> FileRecord {
        try limits.check(record.fileType, size: record.size)
        var record = record
        record.dimensions = try await blobs.imageDimensions(source, contentType: record.contentType)
        try await gate.with(record.sha256) {
            do {
                try await publish(record, from: source, insert)
            } catch {
                await removeUnreferencedBlob(record.sha256)
                throw error
            }
        }
        return record
    }

    /// Deletes a file; its blob goes with the last record that has it.
    ///
    /// - Throws: `FilesError.fileNotFound`, or `.notOwner` for one who may only read it.
    func remove(_ id: String, by caller: Caller) async throws -> FileRecord {
        let record = try await readable(id, by: caller)
        guard record.uploaderID == caller.userID || caller.isAdmin else { throw FilesError.notOwner }
        try await gate.with(record.sha256) {
            guard let isLast = try await index.remove(id) else { throw FilesError.fileNotFound }
            guard isLast else { return }
            do { _ = try await removeBlob(record.sha256) } catch {
                log.error("blob_not_removed", ["sha256": .string(record.sha256), "error": .string("\(error)")])
            }
        }
        return record
    }

    /// Opens a file's bytes, `record.size` of them.
    ///
    /// - Throws: `FilesError.fileNotFound` if it was deleted meanwhile; `.blobMissing` if the store is damaged.
    func open(_ record: FileRecord) async throws -> DescriptorOwner {
        do {
            return try await blobs.open(sha256: record.sha256, size: record.size)
        } catch FilesError.blobMissing(let sha256) {
            guard try await index.isReferenced(sha256: sha256) else { throw FilesError.fileNotFound }
            log.error("blob_missing", ["file_id": .string(record.id), "sha256": .string(sha256)])
            throw FilesError.blobMissing(sha256)
        }
    }

    private func publish(
        _ record: FileRecord,
        from source: String,
        _ insert: (_ record: FileRecord, _ removals: Int) async throws -> Void
    ) async throws {
        for _ in 0..<Self.publishesMax {
            let removals = try await index.removals(of: record.sha256)
            try await blobs.publish(source, sha256: record.sha256)
            do { return try await insert(record, removals) } catch is BlobsRemoved { continue }
        }
        throw StorageError.contended(attempts: Self.publishesMax)
    }

    private func removeUnreferencedBlob(_ sha256: String) async {
        do { _ = try await removeBlobIfUnreferenced(sha256) } catch {
            // The index is out of order; the next collection removes the blob.
            log.warning("blob_left", ["sha256": .string(sha256), "error": .string("\(error)")])
        }
    }
}
