import Core
import HTTP

/// What can go wrong in the file service, in its own words; `problem` gives the answer on the wire.
enum FilesError: Error, Equatable {
    /// The upload's body is not JSON; the text says where and why.
    case malformedDocument(String)
    /// The upload's body is no multipart body.
    case malformedForm(MultipartError)
    /// The head of a form's part says what none may; the text says what it must.
    case invalidPart(String)
    /// A member of the upload's document breaks a rule.
    case invalidField(name: String, rule: String)
    /// `file_data` is not base64; the text says where.
    case invalidBase64(String)
    /// Something is larger than its named limit, in bytes.
    case tooLarge(name: String, bytesMax: Int)
    /// The request's `Content-Type` is none that this route reads.
    case unsupportedMediaType(String)
    /// No such file, or none that the caller may know of.
    case fileNotFound
    /// A URL's signature is wrong, or has expired; which is not told.
    case invalidSignature
    /// The caller may read the file and not delete it.
    case notOwner
    /// `If-Match` names another version.
    case preconditionFailed
    /// No byte of the range exists; the file has `size` bytes.
    case rangeNotSatisfiable(size: Int)
    /// The user, or the service, has as many uploads in progress as it may.
    case tooManyUploads(String)
    /// The user has as many unfinished uploads as one may; waiting alone does not help.
    case tooManyUnfinishedUploads(String)
    /// The user has as many files, or as many bytes in them, as one may; the text says how many.
    case quotaExceeded(String)
    /// The upload has expired.
    case uploadExpired
    /// Another request writes to the upload.
    case uploadLocked
    /// A part begins elsewhere than at the upload's end so far, `offset`.
    case offsetMismatch(offset: Int)
    /// A part has another checksum than its sender says.
    case checksumMismatch
    /// The disk or a quota of the file system is full.
    case storageFull
    /// A system call failed; never shown to a client.
    case systemCall(String, path: String, errno: Int32)
    /// The metadata's blob is not on the disk, or not whole.
    case blobMissing(String)

    /// Whether a file is more than it, or its user, may have.
    var isAboutLimits: Bool {
        switch self {
        case .tooLarge, .quotaExceeded: true
        default: false
        }
    }
}

extension FilesError: ProblemConvertible {
    var problem: Problem {
        switch self {
        case .malformedDocument(let detail): Problem(400, .malformedJSON, detail)
        case .malformedForm(let error): error.problem
        case .invalidPart(let detail): Problem(400, .malformedMultipart, "body: a part's \(detail)")
        case .invalidField(let name, let rule): Problem.invalidField(name, rule)
        case .invalidBase64(let detail): Problem(422, .invalidBase64, "file_data: \(detail)")
        case .tooLarge(let name, let bytesMax): Problem(413, .tooLarge, "\(name): at most \(bytesMax) bytes")
        case .unsupportedMediaType(let detail): Problem(415, .unsupportedMediaType, detail)
        case .fileNotFound: Problem(404, .fileNotFound, "no such file")
        case .invalidSignature: Problem.forbidden("the URL has expired, or its signature is wrong")
        case .notOwner: Problem.forbidden("only the uploader or an administrator deletes a file")
        case .preconditionFailed: Problem(412, .preconditionFailed, "If-Match: the file has another ETag")
        case .rangeNotSatisfiable(let size):
            Problem(
                416,
                .rangeNotSatisfiable,
                "Range: the file has \(size) bytes",
                headers: [Problem.Header("Content-Range", "bytes */\(size)")]
            )
        case .tooManyUploads(let detail):
            Problem(429, .tooManyRequests, detail, headers: [Problem.Header("Retry-After", "1")])
        case .tooManyUnfinishedUploads(let detail): Problem(429, .tooManyRequests, detail)
        case .quotaExceeded(let detail): Problem(413, .quotaExceeded, detail)
        case .uploadExpired: Problem(410, .uploadExpired, "the upload has expired; begin again")
        case .uploadLocked:
            Problem(
                423,
                .uploadLocked,
                "another request writes to this upload",
                headers: [Problem.Header("Retry-After", "1")]
            )
        case .offsetMismatch(let offset):
            Problem(
                409,
                .offsetMismatch,
                "Upload-Offset: the upload is at \(offset)",
                headers: [Problem.Header("Upload-Offset", String(offset))]
            )
        case .checksumMismatch:
            Problem(460, .checksumMismatch, "Upload-Checksum: the body has another; none of it counts")
        case .storageFull: Problem(507, .storageFull, "the file store is full")
        case .systemCall, .blobMissing:
            Problem(500, .internalError, "the server failed to answer this request")
        }
    }
}
