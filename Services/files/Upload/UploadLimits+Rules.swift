import Contracts
import ServiceKit

/// What a user's files come to, with those that unfinished uploads are to become: what has begun finds its room.
struct FileUsage: Sendable, Equatable {
    var files = 0
    /// Bytes; a blob counts for each file that has it.
    var bytes = 0
}

extension UploadLimits {
    /// The longest request body that is read, in bytes.
    var bodyBytesMax: Int {
        max(
            UploadDocumentDecoder.documentBytesMax(fileBytesMax: base64BytesMax),
            UploadFormDecoder.bodyBytesMax(fileBytesMax: fileBytesMax)
        )
    }

    /// How many bytes a user may add who has `usage` already.
    ///
    /// - Throws: `FilesError.quotaExceeded` when it is none, or no further file.
    func bytesLeft(_ usage: FileUsage) throws(FilesError) -> Int {
        guard usage.files < userFilesMax else {
            throw .quotaExceeded("at most \(userFilesMax) files a user; deleting some makes room")
        }
        guard usage.bytes < userBytesMax else { throw bytesExceeded }
        return userBytesMax - usage.bytes
    }

    /// The refusal of a file that is more than what is left.
    var bytesExceeded: FilesError {
        .quotaExceeded("a user's files hold at most \(userBytesMax) bytes; deleting some makes room")
    }

    /// Checks whether a user who has `count` unfinished uploads may begin another.
    ///
    /// - Throws: `FilesError.tooManyUnfinishedUploads`.
    func checkUnfinished(_ count: Int) throws(FilesError) {
        guard count < tusUploadsPerUserMax else {
            throw .tooManyUnfinishedUploads(
                "at most \(tusUploadsPerUserMax) unfinished uploads; finish or delete one of them"
            )
        }
    }

    /// Checks a file against its type's limit.
    ///
    /// - Throws: `FilesError.tooLarge`.
    func check(_ type: FileType, size: Int) throws(FilesError) {
        let bytesMax = bytesMax(of: type)
        guard size <= bytesMax else { throw .tooLarge(name: "a file of type \(type.rawValue)", bytesMax: bytesMax) }
    }
}
