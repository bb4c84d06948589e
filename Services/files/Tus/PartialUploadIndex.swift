import Core

/// Where the metadata of uploads in parts are kept; the same database as the files', since an upload's end makes a
/// file.
protocol PartialUploadIndex: Sendable {
    /// Stores an upload durably, unless its uploader has `countMax` open ones that have not expired.
    ///
    /// - Returns: Whether it was stored.
    func insert(_ upload: PartialUpload, countMax: Int) async throws -> Bool

    /// The upload; `nil` if there is none.
    func upload(_ id: String) async throws -> PartialUpload?

    /// A part begins or has ended: the upload lives until `expiresAt`, and counts up to `verifiedLength` if that is
    /// given.
    func update(_ id: String, expiresAt: Timestamp, verifiedLength: Int?) async throws

    /// Makes an open upload the file `record`, both or neither.
    func complete(_ record: FileRecord, expiresAt: Timestamp) async throws

    /// Notes that an expired upload's bytes are gone.
    func markRemoved(_ id: String) async throws

    /// Removes the row; none is no error.
    func removeUpload(_ id: String) async throws

    /// At most `countMax` ids of open uploads that have expired at `time`.
    func expiredUploads(at time: Timestamp, countMax: Int) async throws -> [String]

    /// Removes at most `countMax` rows without bytes that expired before `time`.
    ///
    /// - Returns: How many.
    func removeUploads(expiredBefore time: Timestamp, countMax: Int) async throws -> Int

    /// The ids of all open uploads.
    func openUploads() async throws -> Set<String>
}
