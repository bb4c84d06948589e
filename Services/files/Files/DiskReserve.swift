import Glibc
import Synchronization

/// A file that keeps a little room on the database's disk, given up so that a deletion can be recorded when it is full.
///
/// SQLite writes before it frees: on a disk without a free block nobody could make room.
final class DiskReserve: Sendable {
    /// Room for the write-ahead log of some deletions, in bytes.
    static let bytes = 1 << 20

    private let path: String
    private let filled = Mutex(false)

    /// - Parameter path: A name that nobody else uses, on the database's file system.
    init(path: String) { self.path = path }

    /// Whether the room is kept.
    var isFilled: Bool { filled.withLock { $0 } }

    /// Makes the file, or makes it whole again; without room there is none.
    func fill() {
        filled.withLock { isFilled in
            guard !isFilled else { return }
            let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { return }
            isFilled = posix_fallocate(descriptor, 0, off_t(Self.bytes)) == 0
            close(descriptor)
            if !isFilled { unlink(path) }
        }
    }

    /// Gives the room back.
    func give() {
        filled.withLock { isFilled in
            unlink(path)
            isFilled = false
        }
    }
}
