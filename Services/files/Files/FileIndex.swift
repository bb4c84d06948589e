import ServiceKit

/// Blobs with the same beginning were removed since the uploader looked, maybe the one that it has published.
struct BlobsRemoved: Error {}

/// Where the files' metadata and grants are kept.
protocol FileIndex: Sendable {
    /// Stores a record durably, if its uploader has room for it.
    ///
    /// Counted and stored in one step, so that uploads at once do not get past the limits together.
    ///
    /// - Parameter removals: What `removals` said before the blob was published.
    /// - Throws: `FilesError.quotaExceeded`; `BlobsRemoved`.
    func insert(_ record: FileRecord, within limits: UploadLimits, removals: Int) async throws

    /// What the user's files come to, with those that unfinished uploads are to become.
    func usage(of userID: String) async throws -> FileUsage

    /// The record, and whether it was granted to `userID`; `nil` if there is no such file.
    func lookUp(_ id: String, grantedTo userID: String) async throws -> (record: FileRecord, isGranted: Bool)?

    /// Lets `userIDs` read the file on account of `source`, empty for good; granting twice changes nothing.
    ///
    /// - Returns: Whether there is such a file.
    func grant(_ id: String, to userIDs: [String], source: String) async throws -> Bool

    /// Takes back what was granted on account of `source`, and nothing else; no such grant is no error.
    func revoke(_ id: String, source: String) async throws

    /// Removes the record and its grants.
    ///
    /// - Returns: Whether no other record has the same blob; `nil` if there was no such file.
    func remove(_ id: String) async throws -> Bool?

    /// How often a blob of the shard of `sha256` was condemned.
    func removals(of sha256: String) async throws -> Int

    /// Lets a blob go that no record has, and counts it: no record that counts on an earlier number gets in any more.
    ///
    /// - Returns: False when a record has it.
    func condemn(sha256: String) async throws -> Bool

    /// Whether a record has the blob.
    func isReferenced(sha256: String) async throws -> Bool

    /// The blobs of all records that begin with `prefix`, in hex.
    func blobs(prefix: String) async throws -> Set<String>

    /// Whether the index answers.
    func ping() async throws
}
