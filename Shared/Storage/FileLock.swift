import Glibc

/// One process's ownership of a database file: `flock` on `<file>.lock`, which holds the owner's process id.
///
/// The kernel gives the lock up when the process ends, however it ends, so there is no stale lock to remove. A file
/// beside the database, because SQLite's own locks would be lost when any descriptor of the database file is closed.
package final class FileLock: Sendable {
    /// Who else may have the lock.
    package enum Mode: Sendable {
        /// Nobody.
        case exclusive
        /// Others that take it in this mode.
        case shared
    }

    /// Between two attempts to take it, in microseconds.
    private static let pollInterval: UInt32 = 5000

    private let descriptor: Int32

    /// Takes the lock, or fails at once.
    ///
    /// - Parameters:
    ///   - path: The database file, or whatever else the lock is for.
    ///   - mode: Who else may have it.
    ///   - waitMax: How long the thread blocks for it.
    ///   - advice: A sentence for the operator who finds it owned: what to stop or to set.
    /// - Throws: `StorageError.owned` when another process, or another lock in this one, has it.
    package init(
        protecting path: String,
        mode: Mode = .exclusive,
        waitMax: Duration = .zero,
        advice: String = "Stop it first."
    ) throws {
        let lockPath = path + ".lock"
        try FilePreparation.createPrivateFile(lockPath)
        descriptor = open(lockPath, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError.file(path: lockPath, call: "open", errno: errno) }
        let code = Self.take(descriptor, mode, waitMax)
        guard code == 0 else {
            let owner = code == EWOULDBLOCK ? Self.owner(descriptor) : nil
            close(descriptor)
            guard code == EWOULDBLOCK else { throw StorageError.file(path: lockPath, call: "flock", errno: code) }
            throw StorageError.owned(path: path, owner: owner, advice: advice)
        }
        let text = mode == .exclusive ? Array("\(getpid())\n".utf8) : []
        // For people only: a failure changes nothing about the lock.
        _ = ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.count, 0)
    }

    deinit { close(descriptor) }

    /// Another process that has this SQLite database open, whether or not it owns it; `nil` without one.
    ///
    /// A connection in WAL mode keeps a lock on these bytes until it is closed
    /// (<https://www.sqlite.org/src/file/src/os.h>). Must not be asked while this process has the file open: closing
    /// the descriptor that it is asked with gives up the process's own locks.
    package static func databaseUser(_ path: String) throws -> Int32? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StorageError.file(path: path, call: "open", errno: errno) }
        defer { close(descriptor) }
        var request = flock()
        request.l_type = Int16(F_WRLCK)
        request.l_whence = Int16(SEEK_SET)
        request.l_start = 0x4000_0000
        request.l_len = 512
        guard fcntl(descriptor, F_GETLK, &request) == 0 else {
            throw StorageError.file(path: path, call: "fcntl", errno: errno)
        }
        return request.l_type == Int16(F_UNLCK) ? nil : request.l_pid
    }

    /// - Returns: 0, or what kept it from being taken.
    private static func take(_ descriptor: Int32, _ mode: Mode, _ waitMax: Duration) -> Int32 {
        let deadline = ContinuousClock.now + waitMax
        let operation = (mode == .exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB
        while flock(descriptor, operation) != 0 {
            let code = errno
            if code == EINTR { continue }
            guard code == EWOULDBLOCK, ContinuousClock.now < deadline else { return code }
            usleep(pollInterval)
        }
        return 0
    }

    private static func owner(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        guard count > 0 else { return nil }
        return Int32(String(decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
