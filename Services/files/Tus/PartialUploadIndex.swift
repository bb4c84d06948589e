import Core
import ServiceKit

/// Where the metadata of uploads in parts are kept; the same database as the files', since an upload's end makes a
/// file.
protocol PartialUploadIndex: Sendable {
    /// Stores an upload durably, if its uploader has room for the file that it becomes, and for one more open upload.
    ///
    /// - Throws: `FilesError.quotaExceeded`, `.tooManyUnfinishedUploads`.
    func insert(_ upload: PartialUpload, within limits: UploadLimits) async throws

    /// The upload; `nil` if there is none.
    func upload(_ id: String) async throws -> PartialUpload?

    /// A part begins or has ended: the upload lives until `expiresAt`, and counts up to `verifiedLength` if that is
    /// given.
    ///
    /// - Throws: `FilesError.fileNotFound` if it is not open any more.
    func update(_ id: String, expiresAt: Timestamp, verifiedLength: Int?) async throws

    /// Makes an open upload the file `record`, both or neither.
    ///
    /// - Parameter removals: As `FileIndex.insert`.
    /// - Throws: `FilesError.quotaExceeded` if the limits were lowered since the upload began; `.fileNotFound` if it
    ///   is not open any more; `BlobsRemoved`.
    func complete(
        _ record: FileRecord,
        within limits: UploadLimits,
        expiresAt: Timestamp,
        removals: Int
    ) async throws

    /// Ends an open upload that has expired at `time`; its bytes are gone, or go now.
    ///
    /// - Returns: Whether it was one.
    func markRemoved(_ id: String, at time: Timestamp) async throws -> Bool

    /// Removes the row of an open upload.
    ///
    /// - Returns: Whether it was one.
    @discardableResult
    func removeUpload(_ id: String) async throws -> Bool

    /// At most `countMax` ids of open uploads that have expired at `time`.
    func expiredUploads(at time: Timestamp, countMax: Int) async throws -> [String]

    /// Removes at most `countMax` rows without bytes that expired before `time`.
    ///
    /// - Returns: How many.
    func removeUploads(expiredBefore time: Timestamp, countMax: Int) async throws -> Int

    /// The ids of all open uploads.
    func openUploads() async throws -> Set<String>
}
