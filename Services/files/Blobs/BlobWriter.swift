import Crypto
import Glibc
import Storage

/// Writes one blob under a temporary name, on a disk thread, and brings it to the disk.
///
/// `BlobStore.publish` gives it its real name, beside the temporary one. That stays until `discard`, when the blob's
/// record is stored: the blob may have to be published again.
actor BlobWriter {
    /// What a caller gathers before it hands bytes over, so that writes are few.
    static let pieceBytes = 65_536

    /// A complete blob.
    struct Summary: Sendable {
        /// Lower-case hex.
        let sha256: String
        /// Bytes.
        let size: Int
        /// Its first bytes, as many as a `ContentSniffer` looks at.
        let head: [UInt8]
    }

    private let executor: QueueExecutor
    /// The temporary file.
    nonisolated let path: String
    private var room: RoomKept
    private var descriptor: Int32?
    private var hasFile = false
    private var hasher = SHA256()
    private var size = 0
    private var head: [UInt8] = []

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - temporaryPath: A name that nobody else uses, on the blobs' file system.
    ///   - freeBytesMin: What is left free on the disk, in bytes.
    ///   - executor: The disk thread.
    init(temporaryPath: String, freeBytesMin: Int, executor: QueueExecutor) {
        path = temporaryPath
        room = RoomKept(freeBytesMin)
        self.executor = executor
    }

    deinit {
        // `discard` was here first, unless the request's task was dropped.
        if let descriptor { close(descriptor) }
        if hasFile { unlink(path) }
    }

    /// Appends bytes.
    ///
    /// - Throws: `FilesError.storageFull`, `.systemCall`.
    func append(_ bytes: [UInt8]) throws {
        let descriptor = try openFile()
        try room.check(bytes.count, descriptor, path)
        try bytes.withUnsafeBytes { buffer in
            var rest = UnsafeRawBufferPointer(rebasing: buffer[...])
            while !rest.isEmpty {
                let written = try SystemCall.check("write", path) { write(descriptor, rest.baseAddress, rest.count) }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(written))
            }
        }
        hasher.update(bytes)
        size += bytes.count
        if head.count < ContentSniffer.headBytesMax {
            head += bytes.prefix(ContentSniffer.headBytesMax - head.count)
        }
    }

    /// Brings what was written to the disk; nothing is appended afterwards.
    func finish() throws -> Summary {
        let descriptor = try openFile()
        try SystemCall.check("fsync", path) { fsync(descriptor) }
        self.descriptor = nil
        close(descriptor)
        return Summary(sha256: Hex.encode(hasher.finalize()), size: size, head: head)
    }

    /// Removes the temporary file, if it is still there.
    func discard() {
        if let descriptor { close(descriptor) }
        descriptor = nil
        if hasFile { unlink(path) }
        hasFile = false
    }

    private func openFile() throws -> Int32 {
        if let descriptor { return descriptor }
        let descriptor = try SystemCall.check("open", path) {
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        }
        hasFile = true
        self.descriptor = descriptor
        return descriptor
    }
}
