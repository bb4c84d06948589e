import Core
import Crypto
import Glibc

/// `uploads/{id}`: what has arrived of uploads that come in parts.
extension BlobStore {
    /// The file of an upload, which need not be there yet.
    func makePartialFile(_ id: String) -> PartialFile {
        PartialFile(path: "\(partialDirectory)/\(id)", executor: nextExecutor())
    }

    /// Makes the names of the uploads' files durable.
    func synchronizePartialFiles() async throws {
        let directory = partialDirectory
        try await onDisk { try SystemCall.synchronizeDirectory(directory) }
    }

    /// The names of the uploads' files, which are their ids.
    func partialFiles() async throws -> Set<String> {
        let directory = partialDirectory
        return Set(try await onDisk { try SystemCall.names(in: directory) })
    }

    /// What is free on the disk for this process, in bytes.
    func freeBytes() async throws -> Int {
        let directory = partialDirectory
        return try await onDisk {
            var status = statvfs()
            try SystemCall.check("statvfs", directory) { statvfs(directory, &status) }
            let (bytes, isTooLarge) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
                by: Int(status.f_frsize)
            )
            return isTooLarge ? .max : bytes
        }
    }
}
