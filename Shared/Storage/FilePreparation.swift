import Glibc

/// Files and directories for the owner alone.
package enum FilePreparation {
    /// Makes `path` and its missing directories, the file 0600 and the directories 0700.
    ///
    /// SQLite gives its `-wal` and `-shm` files the permissions of the database file.
    package static func createPrivateFile(_ path: String) throws {
        let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        if !directory.isEmpty { try createDirectory(directory) }
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StorageError.file(path: path, call: "open", errno: errno) }
        close(descriptor)
    }

    /// Puts a database of these bytes (none: an empty one) in the place of the one at `path`, which nobody has open.
    static func replaceDatabase(_ path: String, with bytes: [UInt8]) throws {
        try removeDatabase(path)
        try createPrivateFile(path)
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError.file(path: path, call: "open", errno: errno) }
        defer { close(descriptor) }
        try bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                let count = write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw StorageError.file(path: path, call: "write", errno: errno) }
                written += count
            }
        }
    }

    /// Removes a database with its side files, which nobody has open.
    package static func removeDatabase(_ path: String) throws {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            guard unlink(path + suffix) == 0 || errno == ENOENT else {
                throw StorageError.file(path: path + suffix, call: "unlink", errno: errno)
            }
        }
    }

    /// Whether there is a file at `path`.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private static func createDirectory(_ path: String) throws {
        var status = stat()
        if stat(path, &status) == 0 { return }
        let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        if !parent.isEmpty { try createDirectory(parent) }
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw StorageError.file(path: path, call: "mkdir", errno: errno)
        }
    }
}
