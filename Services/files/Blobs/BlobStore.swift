import Core
import Crypto
import Glibc
import Storage
import Synchronization

/// Content-addressed files: `blobs/ab/abcdef…`, named by the SHA-256 of what they hold, written as `temporary/…` first;
/// `uploads/…` has those that come in parts, `trash/…` those that are about to go.
///
/// The same content is stored once. The store knows nothing of users and names; the index does. All calls to the file
/// system are made on threads of its own.
final class BlobStore: Sendable {
    /// A blob as the directory lists it.
    struct Entry: Sendable {
        let sha256: String
        let modifiedAt: Timestamp
    }

    /// Who else may work on the directory.
    enum Sharing: Sendable {
        /// Nobody: the metadata are in a file that one process owns.
        case exclusive
        /// Other instances on the same metadata.
        case instances
    }

    /// How long a start waits for another one that is at what only one does at a time.
    static let startWaitMax = Duration.seconds(10)

    /// The names of the 256 directories that the blobs are spread over.
    static let shards = (0..<256).map { Hex.encode([UInt8($0)]) }

    /// Where it lies.
    let directory: String
    let sharing: Sharing
    /// What uploads leave free on the disk, in bytes.
    let freeBytesMin: Int
    /// Begins the names of this instance's temporary files.
    let instance = SecureRandom.token(bytes: 8)
    private let lock: FileLock
    /// Says that this instance lives.
    private let instanceLock: FileLock
    private let executors: [QueueExecutor]
    private let workers: [DiskWorker]
    private let turn = Atomic<Int>(0)

    /// Opens the store, making its directories where they are missing.
    ///
    /// - Parameters:
    ///   - directory: Its directory, on one file system.
    ///   - threads: How many threads wait for the disk.
    ///   - sharing: Who else may work on it.
    ///   - freeBytesMin: What uploads leave free on the disk, in bytes.
    /// - Throws: `FilesError`, or `StorageError` if another process has the directory.
    init(directory: String, threads: Int, sharing: Sharing = .exclusive, freeBytesMin: Int = 0) throws {
        self.directory = directory
        self.sharing = sharing
        self.freeBytesMin = freeBytesMin
        try Self.makeDirectories(directory)
        lock = try FileLock(
            protecting: directory + "/blobs",
            mode: sharing == .exclusive ? .exclusive : .shared,
            advice: sharing == .exclusive
                ? "Another files service runs on this directory; stop it first."
                : "A files service with a store of its own (sqlite:) runs on this directory; stop it first."
        )
        instanceLock = try Self.startTurn(directory) { [instance] in
            try FileLock(protecting: "\(directory)/instances/\(instance)")
        }
        executors = (0..<max(1, threads)).map { QueueExecutor(label: "blobs \($0)") }
        workers = executors.map(DiskWorker.init(executor:))
    }

    /// A writer of one more blob.
    func makeWriter() -> BlobWriter {
        let index = nextIndex()
        return BlobWriter(
            temporaryPath: makeTemporaryPath(),
            freeBytesMin: freeBytesMin,
            executor: executors[index]
        )
    }

    /// Gives a finished file the name of its content too, durably; it keeps its own.
    ///
    /// A blob that already has it has the same content, and is replaced.
    ///
    /// - Throws: `FilesError.fileNotFound` if `source` is not there any more; `.storageFull`, `.systemCall`.
    func publish(_ source: String, sha256: String) async throws {
        let (path, shard, temporary) = (path(sha256), shard(sha256), makeTemporaryPath())
        try await onDisk {
            do { try SystemCall.check("link", source) { link(source, temporary) } } catch FilesError.systemCall(
                _,
                _,
                ENOENT
            ) {
                throw FilesError.fileNotFound
            }
            // Two names of one file are no reason for rename to remove the first.
            defer { unlink(temporary) }
            try SystemCall.check("rename", path) { rename(temporary, path) }
            try SystemCall.synchronizeDirectory(shard)
        }
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
            guard let blob = try find(sha256) else { throw FilesError.blobMissing(sha256) }
            var status = stat()
            try SystemCall.check("fstat", path) { fstat(blob.descriptor, &status) }
            guard Int(status.st_size) == size else { throw FilesError.blobMissing(sha256) }
            return blob
        }
    }

    /// The dimensions of a file that is an image, from its first `ImageDimensions.bytesMax` bytes; `nil` for others.
    func imageDimensions(_ path: String, contentType: String) async throws -> ImageDimensions? {
        guard contentType.hasPrefix("image/") else { return nil }
        return try await workers[nextIndex()].run {
            let blob = DescriptorOwner(try SystemCall.check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) })
            return try ImageDimensions(contentType: contentType) { offset, count in
                try SystemCall.read(blob.descriptor, offset: offset, count: count)
            }
        }
    }

    /// An executor for who reads an open blob in pieces.
    func nextExecutor() -> QueueExecutor { executors[nextIndex()] }

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
        try await onDisk { try find(sha256) != nil }
    }

    /// Removes what interrupted uploads have left.
    ///
    /// - Parameter bound: Files that are not older are left alone.
    /// - Returns: How many files.
    func removeTemporaryFiles(modifiedBefore bound: Timestamp) async throws -> Int {
        try await removeTemporaryFiles { path, _ in
            guard let status = try SystemCall.status(path) else { return false }
            return SystemCall.modifiedAt(status) < bound
        }
    }

    /// Removes the temporary files of instances that do not live any more.
    ///
    /// - Returns: How many files.
    func removeTemporaryFilesOfTheDead() async throws -> Int {
        let directory = directory
        // No instance begins meanwhile.
        return try await exclusively { [instance] in
            let living = try await onDisk {
                try Self.living(directory, besides: instance)
            }
            return try await removeTemporaryFiles { _, name in
                guard let owner = name.split(separator: ".").first else { return true }
                return !living.contains(String(owner))
            }
        }
    }

    /// Runs `body` while no other instance does, or starts.
    ///
    /// - Throws: `StorageError.owned` after `startWaitMax`.
    func exclusively<Value>(_ body: () async throws -> Value) async throws -> Value {
        let directory = directory
        let turn = try await onDisk { try Self.startLock(directory) }
        defer { withExtendedLifetime(turn) {} }
        return try await body()
    }

    /// The right to look through the store, until what is returned is dropped.
    ///
    /// - Throws: `StorageError.owned` when another instance has it.
    func lockCollection() async throws -> FileLock {
        let path = directory + "/collection"
        return try await onDisk { try FileLock(protecting: path) }
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
    func makeTemporaryPath() -> String { "\(directory)/temporary/\(instance).\(SecureRandom.token(bytes: 16))" }

    /// Runs calls to the file system on one of the disk threads.
    func onDisk<Value: Sendable>(_ body: @Sendable () throws -> Value) async throws -> Value {
        try await workers[nextIndex()].run(body)
    }

    private func nextIndex() -> Int {
        Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(workers.count))
    }

    /// The one of `shards` that a blob belongs to.
    static func shard(of sha256: String) -> String { String(sha256.prefix(2)) }

    /// The directory of a blob.
    func shard(_ sha256: String) -> String { "\(directory)/blobs/\(Self.shard(of: sha256))" }

    /// The file of a blob.
    func path(_ sha256: String) -> String { "\(shard(sha256))/\(sha256)" }

    private func removeTemporaryFiles(
        where isLeft: @Sendable (_ path: String, _ name: String) throws -> Bool
    ) async throws -> Int {
        let directory = directory + "/temporary"
        return try await onDisk {
            var removed = 0
            for name in try SystemCall.names(in: directory) {
                let path = "\(directory)/\(name)"
                if try isLeft(path, name), try SystemCall.unlinkIfPresent(path) { removed += 1 }
            }
            return removed
        }
    }

    private static func startLock(_ directory: String) throws -> FileLock {
        try FileLock(
            protecting: directory + "/instances",
            waitMax: startWaitMax,
            advice: "It starts; if it hangs, stop it."
        )
    }

    private static func startTurn<Value>(_ directory: String, _ body: () throws -> Value) throws -> Value {
        let turn = try startLock(directory)
        return try withExtendedLifetime(turn, body)
    }

    /// The instances that live; what says that others did is removed.
    private static func living(_ directory: String, besides own: String) throws -> Set<String> {
        var living: Set = [own]
        let suffix = ".lock"
        for name in try SystemCall.names(in: directory + "/instances") where name.hasSuffix(suffix) {
            let instance = String(name.dropLast(suffix.count))
            guard instance != own else { continue }
            let path = "\(directory)/instances/\(instance)"
            do {
                let lock = try FileLock(protecting: path)
                try withExtendedLifetime(lock) { _ = try SystemCall.unlinkIfPresent(path + suffix) }
            } catch StorageError.owned {
                living.insert(instance)
            }
        }
        return living
    }

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
        for name in ["instances", "temporary", "trash", "uploads", "blobs"] + shards.map({ "blobs/\($0)" }) {
            try SystemCall.makeDirectory("\(directory)/\(name)")
        }
        try SystemCall.synchronizeDirectory(directory + "/blobs")
        try SystemCall.synchronizeDirectory(directory)
    }
}
