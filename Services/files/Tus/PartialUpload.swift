import Core

/// What is known of an upload that comes in parts; its bytes are in a file of their own until it is complete.
struct PartialUpload: Sendable, Equatable {
    enum State: Int, Sendable {
        /// Bytes are missing, or the file is about to be recorded.
        case open = 0
        /// There is a file with this id.
        case complete = 1
        /// The bytes are removed; the row is kept for a while, to tell 410 from 404.
        case removed = 2
    }

    /// The id of the file that it becomes.
    var id: String
    var uploaderID: String
    /// All the bytes that there will be.
    var length: Int
    /// `Upload-Metadata` as it came.
    var metadata: String
    var document: UploadDocument
    var createdAt: Timestamp
    /// Slides with each part.
    var expiresAt: Timestamp
    var state = State.open
    /// Where a part with a checksum that is not verified yet began: what lies behind it does not count.
    var verifiedLength: Int?
}
