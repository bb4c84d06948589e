import Core

/// What crashes and failed removals leave on the disk, and what is missing there.
extension FileStore {
    /// What a look at the whole store found.
    struct Findings: Sendable, Equatable {
        var temporaryFilesRemoved = 0
        var blobsRemoved = 0
        /// Blobs that a record has and the disk has not, in hex.
        var missing: [String] = []
    }

    /// Removes what interrupted uploads and deletions have left, and reports blobs that are not there.
    ///
    /// Runs before the first request; other instances may be at work.
    ///
    /// - Parameter start: Blobs that are not older are left alone.
    func repair(start: Timestamp = .now()) async throws -> Findings {
        var findings = Findings()
        findings.temporaryFilesRemoved = try await blobs.removeTemporaryFilesOfTheDead()
        try await emptyTrash(&findings)
        for shard in BlobStore.shards { try await collect(shard: shard, modifiedBefore: start, &findings) }
        for sha256 in findings.missing { log.error("blob_missing", ["sha256": .string(sha256)]) }
        return findings
    }

    /// Removes the blobs of one shard that no record has, while files come and go.
    ///
    /// - Parameters:
    ///   - shard: One of `BlobStore.shards`.
    ///   - bound: Blobs that are not older are left alone.
    ///   - findings: What was removed and what is missing is added here.
    func collect(shard: String, modifiedBefore bound: Timestamp, _ findings: inout Findings) async throws {
        let entries = try await blobs.entries(shard: shard)
        var missing = try await index.blobs(prefix: shard)
        for entry in entries where missing.remove(entry.sha256) == nil && entry.modifiedAt < bound {
            // Its content may have been uploaded since; the gate keeps a blob apart from its record's insertion.
            let isRemoved = try await gate.with(entry.sha256) { try await removeBlobIfUnreferenced(entry.sha256) }
            if isRemoved { findings.blobsRemoved += 1 }
        }
        for sha256 in missing.sorted() {
            // It may have been uploaded, or deleted, since the look at the directory.
            let isMissing = try await gate.with(sha256) {
                guard try await !blobs.has(sha256: sha256) else { return false }
                return try await index.isReferenced(sha256: sha256)
            }
            if isMissing { findings.missing.append(sha256) }
        }
    }

    /// Removes a blob that no record has; within the gate.
    ///
    /// - Returns: Whether it did.
    func removeBlobIfUnreferenced(_ sha256: String) async throws -> Bool {
        guard try await !index.isReferenced(sha256: sha256) else { return false }
        return try await removeBlob(sha256)
    }

    /// Removes a blob, unless a record turns out to have it; within the gate.
    ///
    /// - Returns: Whether it did.
    func removeBlob(_ sha256: String) async throws -> Bool {
        guard let trash = try await blobs.moveToTrash(sha256: sha256) else { return false }
        do { return try await settle(trash) } catch {
            // At worst a blob without a record.
            try await blobs.putBack(trash)
            throw error
        }
    }

    /// Deals with what was left in the trash by who died there.
    func emptyTrash(_ findings: inout Findings) async throws {
        for trash in try await blobs.trash() where try await settle(trash) { findings.blobsRemoved += 1 }
    }

    /// - Returns: Whether the blob went.
    private func settle(_ trash: BlobStore.Trash) async throws -> Bool {
        guard try await index.condemn(sha256: trash.sha256) else {
            try await blobs.putBack(trash)
            return false
        }
        try await blobs.discard(trash)
        return true
    }
}
