import Glibc

/// One process's ownership of a database file: `flock` on `<file>.lock`, which holds the owner's process id.
///
/// The kernel gives the lock up when the process ends, however it ends, so there is no stale lock to remove. A file
/// beside the database, because SQLite's own locks would be lost when any descriptor of the database file is closed.
package final class FileLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock, or fails at once.
    ///
    /// - Parameters:
    ///   - path: The database file.
    ///   - advice: A sentence for the operator who finds it owned: what to stop or to set.
    /// - Throws: `StorageError.owned` when another process, or another lock in this one, has it.
    package init(protecting path: String, advice: String = "Stop it first.") throws {
        let lockPath = path + ".lock"
        try FilePreparation.createPrivateFile(lockPath)
        descriptor = open(lockPath, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError.file(path: lockPath, call: "open", errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let owner = code == EWOULDBLOCK ? Self.owner(descriptor) : nil
            close(descriptor)
            guard code == EWOULDBLOCK else { throw StorageError.file(path: lockPath, call: "flock", errno: code) }
            throw StorageError.owned(path: path, owner: owner, advice: advice)
        }
        let text = Array("\(getpid())\n".utf8)
        // For people only: a failure changes nothing about the lock.
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    deinit { close(descriptor) }

    private static func owner(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
