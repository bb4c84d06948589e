import Crypto
import Glibc

/// The random key of a directory, made at the first start and kept in a file for the owner only.
enum SigningKey {
    /// Its length, in bytes.
    static let length = 32

    /// The key in `path`, made when it is missing or not whole.
    ///
    /// - Parameters:
    ///   - path: The file; its directory is the process's own.
    ///   - directory: Where `path` is.
    /// - Throws: `FilesError.systemCall`, `.storageFull`.
    static func load(_ path: String, in directory: String) throws -> [UInt8] {
        do {
            let file = DescriptorOwner(try SystemCall.check("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
            let key = try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
                count = try SystemCall.check("read", path) { read(file.descriptor, buffer.baseAddress, length) }
            }
            if key.count == length { return key }
        } catch FilesError.systemCall(_, _, ENOENT) {}
        // A name of its own until it is whole and on the disk.
        let key = SecureRandom.bytes(length)
        let draft = path + ".new"
        do {
            let file = DescriptorOwner(
                try SystemCall.check("open", draft) { open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
            )
            let written = try SystemCall.check("write", draft) { write(file.descriptor, key, length) }
            guard written == length else { throw FilesError.storageFull }
            try SystemCall.check("fsync", draft) { fsync(file.descriptor) }
        }
        try SystemCall.check("rename", path) { rename(draft, path) }
        try SystemCall.synchronizeDirectory(directory)
        return key
    }
}
