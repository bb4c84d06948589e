import Glibc

/// Files and directories for the owner alone.
enum FilePreparation {
    /// Makes `path` and its missing directories, the file 0600 and the directories 0700.
    ///
    /// SQLite gives its `-wal` and `-shm` files the permissions of the database file.
    static func createPrivateFile(_ path: String) throws {
        let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        if !directory.isEmpty { try createDirectory(directory) }
        let descriptor = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StorageError.file(path: path, call: "open", errno: errno) }
        close(descriptor)
    }

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
