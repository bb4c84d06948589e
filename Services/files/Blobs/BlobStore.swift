import Core
import Crypto
import Glibc
import Storage
import Synchronization

/// Content-addressed files: `blobs/ab/abcdef…`, named by the SHA-256 of what they hold, written as `temporary/…` first;
/// `uploads/…` has those that come in parts.
///
/// The same content is stored once. The store knows nothing of users and names; the index does. All calls to the file
/// system are made on threads of its own.
final class BlobStore: Sendable {
    /// A blob as the directory lists it.
    struct Entry: Sendable {
        let sha256: String
        let modifiedAt: Timestamp
    }

    /// The names of the 256 directories that the blobs are spread over.
    static let shards = (0..<256).map { Hex.encode([UInt8($0)]) }

    /// Where it lies.
    let directory: String
    private let lock: FileLock
    private let executors: [QueueExecutor]
    private let workers: [DiskWorker]
    private let turn = Atomic<Int>(0)

    /// Opens the store, making its directories where they are missing.
    ///
    /// - Parameters:
    ///   - directory: Its directory, on one file system.
    ///   - threads: How many threads wait for the disk.
    /// - Throws: `FilesError`, or `StorageError` if another process has the directory.
    init(directory: String, threads: Int) throws {
        self.directory = directory
        try Self.makeDirectories(directory)
        lock = try FileLock(
            protecting: directory + "/blobs",
            advice: "Another files service runs on this directory; stop it first."
        )
        executors = (0..<max(1, threads)).map { QueueExecutor(label: "blobs \($0)") }
        workers = executors.map(DiskWorker.init(executor:))
    }

    /// A writer of one more blob.
    func makeWriter() -> BlobWriter {
        let index = nextIndex()
        return BlobWriter(
            temporaryPath: makeTemporaryPath(),
            executor: executors[index]
        )
    }

    /// Gives a finished writer's file its real name.
    func publish(_ writer: BlobWriter, sha256: String) async throws {
        try await writer.publish(as: path(sha256), in: shard(sha256))
    }

    /// Opens a blob for reading.
    ///
    /// - Parameters:
    ///   - sha256: Its name.
    ///   - size: What it must have, in bytes.
    /// - Throws: `FilesError.blobMissing` if it is not there or has another size; `.systemCall`.
    func open(sha256: String, size: Int) async throws -> DescriptorOwner {
        let path = path(sha256)
        return try await onDisk {
            let blob: DescriptorOwner
            do {
                blob = DescriptorOwner(
                    try SystemCall.check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
                )
            } catch FilesError.systemCall(_, _, ENOENT) {
                throw FilesError.blobMissing(sha256)
            }
            var status = stat()
            try SystemCall.check("fstat", path) { fstat(blob.descriptor, &status) }
            guard Int(status.st_size) == size else { throw FilesError.blobMissing(sha256) }
            return blob
        }
    }

    /// The dimensions of a blob that is an image, from its first `ImageDimensions.bytesMax` bytes; `nil` for others.
    func imageDimensions(sha256: String, contentType: String) async throws -> ImageDimensions? {
        guard contentType.hasPrefix("image/") else { return nil }
        let path = path(sha256)
        return try await workers[nextIndex()].run {
            let blob = DescriptorOwner(try SystemCall.check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) })
            return try ImageDimensions(contentType: contentType) { offset, count in
                try SystemCall.read(blob.descriptor, offset: offset, count: count)
            }
        }
    }

    /// An executor for who reads an open blob in pieces.
    func nextExecutor() -> QueueExecutor { executors[nextIndex()] }

    /// Removes a blob; one that is not there is no error.
    ///
    /// Readers that have it open keep it.
    ///
    /// - Returns: Whether it was there.
    @discardableResult
    func remove(sha256: String) async throws -> Bool {
        let path = path(sha256)
        return try await onDisk { try SystemCall.unlinkIfPresent(path) }
    }

    /// The blobs of one shard.
    func entries(shard: String) async throws -> [Entry] {
        let path = "\(directory)/blobs/\(shard)"
        return try await onDisk {
            try SystemCall.names(in: path).compactMap { name in
                guard name.utf8.count == 64, let status = try SystemCall.status("\(path)/\(name)") else { return nil }
                return Entry(sha256: name, modifiedAt: SystemCall.modifiedAt(status))
            }
        }
    }

    /// Whether there is such a blob.
    func has(sha256: String) async throws -> Bool {
        let path = path(sha256)
        return try await onDisk { try SystemCall.status(path) != nil }
    }

    /// Removes what interrupted uploads have left.
    ///
    /// - Parameter bound: Files that are not older are left alone; `nil`, before the first upload only: none is.
    /// - Returns: How many files.
    func removeTemporaryFiles(modifiedBefore bound: Timestamp? = nil) async throws -> Int {
        let path = directory + "/temporary"
        return try await onDisk {
            var removed = 0
            for name in try SystemCall.names(in: path) {
                let path = "\(path)/\(name)"
                if let bound, let status = try SystemCall.status(path), SystemCall.modifiedAt(status) >= bound {
                    continue
                }
                if try SystemCall.unlinkIfPresent(path) { removed += 1 }
            }
            return removed
        }
    }

    /// Makes and removes a file, to see whether the directory is there for us.
    ///
    /// A full disk is no failure: downloads and deletions go on.
    func checkWritable() async throws {
        let path = makeTemporaryPath()
        try await onDisk {
            let descriptor = try SystemCall.check("open", path) {
                Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            }
            defer {
                close(descriptor)
                unlink(path)
            }
            do { try SystemCall.check("write", path) { write(descriptor, "x", 1) } } catch FilesError.storageFull {}
        }
    }

    // MARK: -

    /// The directory of uploads that come in parts.
    var partialDirectory: String { directory + "/uploads" }

    /// A name that nobody else uses, for a file that is being written.
    func makeTemporaryPath() -> String { "\(directory)/temporary/\(SecureRandom.token(bytes: 16))" }

    /// Runs calls to the file system on one of the disk threads.
    func onDisk<Value: Sendable>(_ body: @Sendable () throws -> Value) async throws -> Value {
        try await workers[nextIndex()].run(body)
    }

    private func nextIndex() -> Int {
        Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(workers.count))
    }

    /// The directory of a blob.
    func shard(_ sha256: String) -> String { "\(directory)/blobs/\(sha256.prefix(2))" }

    /// The file of a blob.
    func path(_ sha256: String) -> String { "\(shard(sha256))/\(sha256)" }

    private static func makeDirectories(_ directory: String) throws {
        var parent = directory.hasPrefix("/") ? "/" : ""
        for part in directory.split(separator: "/") {
            let path = parent + part + "/"
            // Else a power loss could take the whole store with its name.
            if try SystemCall.makeDirectory(path) {
                try SystemCall.synchronizeDirectory(parent.isEmpty ? "." : parent)
            }
            parent = path
        }
        for name in ["temporary", "uploads", "blobs"] + shards.map({ "blobs/\($0)" }) {
            try SystemCall.makeDirectory("\(directory)/\(name)")
        }
        try SystemCall.synchronizeDirectory(directory + "/blobs")
        try SystemCall.synchronizeDirectory(directory)
    }
}
