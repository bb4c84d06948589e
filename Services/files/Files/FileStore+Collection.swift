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
    /// Runs before the first request.
    ///
    /// - Parameter start: Blobs that are not older are left alone.
    func repair(start: Timestamp = .now()) async throws -> Findings {
        var findings = Findings()
        findings.temporaryFilesRemoved = try await blobs.removeTemporaryFiles()
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
        return try await blobs.remove(sha256: sha256)
    }
}
