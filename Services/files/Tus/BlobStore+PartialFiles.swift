import Core
import Crypto
import Glibc

/// `uploads/{id}`: what has arrived of uploads that come in parts.
extension BlobStore {
    /// The file of an upload, which need not be there yet.
    func makePartialFile(_ id: String) -> PartialFile {
        PartialFile(path: "\(partialDirectory)/\(id)", executor: nextExecutor())
    }

    /// Makes the file of a new upload.
    func create(_ file: PartialFile) async throws { try await file.create(in: partialDirectory) }

    /// Gives a whole upload's file the name of its content; its own name stays until `PartialFile.remove`.
    func publish(_ file: PartialFile, sha256: String) async throws {
        try await file.publish(as: path(sha256), in: shard(sha256), through: makeTemporaryPath())
    }

    /// Removes the files of uploads that are not in `ids`; only before the first request.
    ///
    /// - Returns: How many, and which of `ids` have no file.
    func removePartialFiles(except ids: Set<String>) async throws -> (removed: Int, missing: Set<String>) {
        let directory = partialDirectory
        return try await onDisk {
            var missing = ids
            var removed = 0
            for name in try SystemCall.names(in: directory) where missing.remove(name) == nil {
                try SystemCall.check("unlink", name) { unlink("\(directory)/\(name)") }
                removed += 1
            }
            return (removed, missing)
        }
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
