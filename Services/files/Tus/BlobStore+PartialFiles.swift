import Core
import Crypto
import Glibc

/// `uploads/{id}`: what has arrived of uploads that come in parts.
extension BlobStore {
    /// The file of an upload, which need not be there yet.
    func makePartialFile(_ id: String) -> PartialFile {
        PartialFile(path: "\(partialDirectory)/\(id)", freeBytesMin: freeBytesMin, executor: nextExecutor())
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

    /// What uploads may take of the disk just now, in bytes; negative when less is free than they are to leave.
    func freeBytes() async throws -> Int {
        let (directory, kept) = (partialDirectory, freeBytesMin)
        return try await onDisk {
            let file = DescriptorOwner(
                try SystemCall.check("open", directory) { Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
            )
            return try SystemCall.freeBytes(file.descriptor, directory) - kept
        }
    }
}
