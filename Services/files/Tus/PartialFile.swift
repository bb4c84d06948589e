import Crypto
import Glibc
import Storage

/// The bytes of an upload that have arrived, on a disk thread.
///
/// The file is the truth: its size is the offset. The hash goes along in memory; when that was lost, or another
/// instance has changed the file, it is read again bit by bit while further bytes arrive. One request at a time writes:
/// within an instance by `UploadLeases`, over all by `flock` on the file, which the kernel ends with its holder.
actor PartialFile {
    /// Bytes written at most before they are brought to the disk.
    static let unsynchronizedBytesMax = 16 << 20
    /// Bytes of the file that are hashed in one step, so that the disk thread serves others in between.
    static let hashedBytesMax = 1 << 20

    /// The hash of the file's first `count` bytes.
    private struct Progress {
        var hasher = SHA256()
        var count = 0
        /// The first of them, for the sniffer.
        var head: [UInt8] = []

        mutating func update(_ bytes: [UInt8]) {
            hasher.update(bytes)
            count += bytes.count
            if head.count < ContentSniffer.headBytesMax {
                head += bytes.prefix(ContentSniffer.headBytesMax - head.count)
            }
        }
    }

    /// What a part with a checksum goes back to if it does not hold.
    private struct Checkpoint {
        let size: Int
        let progress: Progress
        var checksum: TusChecksum.Hasher
    }

    /// What tells whether somebody else has written to the file, or put another one in its place.
    private struct Version: Equatable {
        let device: UInt
        let inode: UInt
        let size: Int
        let modifiedSeconds: Int
        let modifiedNanoseconds: Int

        init(_ status: stat) {
            device = UInt(status.st_dev)
            inode = UInt(status.st_ino)
            size = Int(status.st_size)
            modifiedSeconds = status.st_mtim.tv_sec
            modifiedNanoseconds = status.st_mtim.tv_nsec
        }
    }

    private let executor: QueueExecutor
    private var room: RoomKept
    /// The file.
    nonisolated let path: String
    /// Open while a request holds the file, or waits to go on.
    private var file: DescriptorOwner?
    /// Whether this process, and nobody else, may write.
    private(set) var isHeld = false
    /// When this process held it last.
    private var version: Version?
    private var size = 0
    /// How much of it is known to be on the disk; of what an earlier process wrote, nothing.
    private var synchronizedSize = 0
    private var progress = Progress()
    private var checkpoint: Checkpoint?

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - path: The file; `create` makes it.
    ///   - freeBytesMin: What is left free on the disk, in bytes.
    ///   - executor: The disk thread.
    init(path: String, freeBytesMin: Int, executor: QueueExecutor) {
        self.path = path
        room = RoomKept(freeBytesMin)
        self.executor = executor
    }

    /// Makes the file, empty, and holds it.
    ///
    /// - Parameter temporaryPath: Its name until it is held: nobody ever finds it under its own one and not held.
    func create(as temporaryPath: String) throws {
        let descriptor = try SystemCall.check("open", temporaryPath) {
            Glibc.open(temporaryPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        }
        let opened = DescriptorOwner(descriptor)
        do {
            guard try Self.lock(opened, temporaryPath) else { throw FilesError.uploadLocked }
            try SystemCall.check("rename", path) { rename(temporaryPath, path) }
        } catch {
            unlink(temporaryPath)
            throw error
        }
        guard try hold(opened) else { throw FilesError.uploadLocked }
    }

    /// Holds the file, if nobody else does.
    ///
    /// - Returns: Whether it is held now, until `close`.
    /// - Throws: `FilesError.fileNotFound` if it is not there.
    func hold() throws -> Bool {
        if isHeld { return true }
        do {
            let descriptor = try SystemCall.check("open", path) { Glibc.open(path, O_RDWR | O_CLOEXEC) }
            return try hold(DescriptorOwner(descriptor))
        } catch FilesError.systemCall(_, _, ENOENT) {
            throw FilesError.fileNotFound
        }
    }

    private func hold(_ opened: DescriptorOwner) throws -> Bool {
        guard try Self.lock(opened, path) else { return false }
        let present = Version(try Self.status(of: opened, path))
        // Removed while we waited, maybe to live on as a blob.
        guard let named = try SystemCall.status(path).map(Version.init), named.inode == present.inode,
            named.device == present.device
        else { throw FilesError.fileNotFound }
        file = opened
        isHeld = true
        if present != version {
            progress = Progress()
            synchronizedSize = 0
        }
        size = present.size
        return true
    }

    /// Lets others write while nothing arrives.
    func yield() throws {
        guard isHeld, let file else { return }
        version = Version(try Self.status(of: file, path))
        try SystemCall.check("flock", path) { flock(file.descriptor, LOCK_UN) }
        isHeld = false
    }

    /// Holds the file again after `yield`.
    ///
    /// - Throws: `FilesError.uploadLocked` if somebody else does, or has written to it.
    func resume() throws {
        guard !isHeld, let file else { return }
        guard try Self.lock(file, path) else { throw FilesError.uploadLocked }
        let present = Version(try Self.status(of: file, path))
        guard present == version, try SystemCall.status(path).map(Version.init) == present else {
            self.file = nil
            throw FilesError.uploadLocked
        }
        isHeld = true
    }

    /// Cuts off what does not count; the file is held.
    ///
    /// - Parameter verifiedLength: What counts of it, when a part with a checksum was broken off by a crash.
    /// - Returns: The offset.
    func open(verifiedLength: Int?) throws -> Int {
        if let verifiedLength, verifiedLength < size { try cut(to: verifiedLength) }
        forgetWhatIsGone()
        return size
    }

    /// A part begins; one with a checksum counts only when `verify` has found that it holds.
    func begin(checksum: TusChecksum?) {
        room.forget()
        checkpoint = checksum.map {
            Checkpoint(size: size, progress: progress, checksum: TusChecksum.Hasher($0.algorithm))
        }
    }

    /// Appends bytes; all of them or none.
    ///
    /// - Throws: `FilesError.storageFull`, `.systemCall`; as `resume`.
    func append(_ bytes: [UInt8]) throws {
        try resume()
        let descriptor = try descriptor
        try room.check(bytes.count, descriptor, path)
        do {
            try bytes.withUnsafeBytes { buffer in
                var written = 0
                while written < buffer.count {
                    let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                    let offset = off_t(size + written)
                    written += try SystemCall.check("pwrite", path) {
                        pwrite(descriptor, rest.baseAddress, rest.count, offset)
                    }
                }
            }
        } catch {
            ftruncate(descriptor, off_t(size))
            throw error
        }
        let isHashed = progress.count == size
        size += bytes.count
        checkpoint?.checksum.update(bytes)
        // Behind, it catches up at four times the pace at which bytes arrive.
        if isHashed { progress.update(bytes) } else { try hash(4 * bytes.count) }
        if size - synchronizedSize >= Self.unsynchronizedBytesMax { try synchronize() }
    }

    /// Ends a part that began with a checksum.
    ///
    /// - Throws: `FilesError.checksumMismatch` if what has come since has another; `rollBack` is called then.
    func verify(_ checksum: TusChecksum) throws {
        guard let checkpoint, checkpoint.checksum.digest() == checksum.digest else {
            throw FilesError.checksumMismatch
        }
        self.checkpoint = nil
    }

    /// Takes back what has come since `begin`, if it began with a checksum.
    func rollBack() throws {
        guard let checkpoint else { return }
        try cut(to: min(checkpoint.size, size))
        progress = checkpoint.progress
        forgetWhatIsGone()
        self.checkpoint = nil
    }

    /// Brings what was written to the disk.
    ///
    /// - Returns: The offset.
    @discardableResult
    func synchronize() throws -> Int {
        if synchronizedSize < size {
            let descriptor = try descriptor
            do { try SystemCall.check("fsync", path) { fsync(descriptor) } } catch {
                // The system may have dropped what it could not write, and would not say so again.
                size = synchronizedSize
                ftruncate(descriptor, off_t(size))
                forgetWhatIsGone()
                throw error
            }
            synchronizedSize = size
        }
        return size
    }

    /// How many bytes have arrived and count, whoever writes.
    ///
    /// They are not brought to the disk for it: who asks often would slow everybody's writing down, and a failure would
    /// take bytes from below who writes. Of what a power cut takes the next part is told (409).
    ///
    /// - Throws: `FilesError.fileNotFound` if the file is not there.
    func offset() throws -> Int {
        if isHeld { return checkpoint?.size ?? size }
        guard let status = try SystemCall.status(path) else { throw FilesError.fileNotFound }
        return Int(status.st_size)
    }

    /// Lets the file go; the hash is kept.
    func close() {
        if isHeld, let file { version = (try? Self.status(of: file, path)).map(Version.init) }
        isHeld = false
        file = nil
        checkpoint = nil
    }

    /// Hashes a bit more of what is not hashed yet.
    ///
    /// - Returns: The summary once all of it is.
    func summarize() throws -> BlobWriter.Summary? {
        guard progress.count == size else {
            try hash(Self.hashedBytesMax)
            return nil
        }
        var hasher = progress.hasher
        return BlobWriter.Summary(sha256: Hex.encode(hasher.finalize()), size: size, head: progress.head)
    }

    /// Removes the file; one that is not there is no error.
    ///
    /// Who holds it elsewhere writes to a file without a name.
    func remove() throws {
        defer { close() }
        _ = try SystemCall.unlinkIfPresent(path)
    }

    // MARK: -

    private var descriptor: Int32 {
        get throws {
            guard isHeld, let file else { throw FilesError.systemCall("open", path: path, errno: EBADF) }
            return file.descriptor
        }
    }

    private func cut(to length: Int) throws {
        let descriptor = try descriptor
        try SystemCall.check("ftruncate", path) { ftruncate(descriptor, off_t(length)) }
        try SystemCall.check("fsync", path) { fsync(descriptor) }
        size = length
        synchronizedSize = length
    }

    /// The file has become shorter than what was hashed, or brought to the disk.
    private func forgetWhatIsGone() {
        if progress.count > size { progress = Progress() }
        synchronizedSize = min(synchronizedSize, size)
    }

    /// Hashes the next bytes of the file, `bytesMax` at most.
    private func hash(_ bytesMax: Int) throws {
        let descriptor = try descriptor
        let end = min(size, progress.count + bytesMax)
        while progress.count < end {
            let offset = off_t(progress.count)
            let piece = try [UInt8](unsafeUninitializedCapacity: min(BlobWriter.pieceBytes, end - progress.count)) {
                buffer,
                count in
                let space = UnsafeMutableRawBufferPointer(buffer)
                count = try SystemCall.check("pread", path) {
                    pread(descriptor, space.baseAddress, space.count, offset)
                }
            }
            // Shorter than it was: nothing that we do.
            guard !piece.isEmpty else { throw FilesError.systemCall("pread", path: path, errno: EIO) }
            progress.update(piece)
        }
    }

    private static func status(of file: DescriptorOwner, _ path: String) throws -> stat {
        var status = stat()
        try SystemCall.check("fstat", path) { fstat(file.descriptor, &status) }
        return status
    }

    /// - Returns: False when somebody else has the lock.
    private static func lock(_ file: DescriptorOwner, _ path: String) throws -> Bool {
        do {
            try SystemCall.check("flock", path) { flock(file.descriptor, LOCK_EX | LOCK_NB) }
            return true
        } catch FilesError.systemCall(_, _, EWOULDBLOCK) {
            return false
        }
    }
}
