import Contracts
import Core
import Crypto
import Glibc
import HTTP
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import FilesService

/// Two instances, `first` and `second`, on one directory and one history.
struct InstancesFixture {
    let directory: TemporaryDirectory
    let log = MemoryChangeLog()
    let first: FilesFixture
    let second: FilesFixture

    init(limits adjust: (inout UploadLimits) -> Void = { _ in }) async throws {
        directory = try TemporaryDirectory()
        first = try await FilesFixture(
            perUserMax: 50,
            totalMax: 100,
            in: directory,
            sharing: .instances,
            log: log,
            limits: adjust
        )
        second = try await FilesFixture(
            perUserMax: 50,
            totalMax: 100,
            in: directory,
            sharing: .instances,
            log: log,
            limits: adjust
        )
    }

    /// One more, that starts now.
    func started() async throws -> FilesFixture {
        try await FilesFixture(in: directory, sharing: .instances, log: log)
    }

    /// What differs between the records and the disk.
    func inconsistencies() async throws -> [String] {
        var found: [String] = []
        var recorded: Set<String> = []
        for shard in BlobStore.shards { recorded.formUnion(try await first.store.index.blobs(prefix: shard)) }
        let disk = try first.filesOnDisk()
        found += recorded.subtracting(disk.blobs).map { "record without blob \($0)" }
        found += Set(disk.blobs).subtracting(recorded).map { "blob without record \($0)" }
        found += disk.temporary.map { "temporary file \($0)" }
        found += try SystemCall.names(in: directory.file("store/trash")).map { "trash \($0)" }
        for name in disk.blobs {
            let bytes = try SystemCall.contents(first.path(ofBlob: name), countMax: 1 << 20) ?? []
            if Hex.encode(SHA256.hash(bytes)) != name { found.append("blob \(name): another content") }
        }
        return found
    }
}

@Suite("Several instances on one directory")
struct InstancesTests {
    @Test("what one has taken the other one gives, describes and deletes")
    func together() async throws {
        let pair = try await InstancesFixture()
        let document = try await pair.first.stored(jpeg)
        #expect(try await pair.second.bytes(of: await pair.second.send(.get, document.url)) == jpeg)
        #expect(try await pair.second.stored(jpeg).sha256 == document.sha256)
        #expect(try pair.first.filesOnDisk().blobs == [document.sha256])
        #expect(await pair.second.send(.delete, "/api/files/\(document.fileID)").status == .noContent)
        #expect(await pair.first.send(.get, document.url).status.code == 404)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("an instance with a store of its own, and those that share one, keep each other out")
    func owners() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("store")
        do {
            let shared = try BlobStore(directory: path, threads: 1, sharing: .instances)
            _ = try BlobStore(directory: path, threads: 1, sharing: .instances)
            #expect(throws: StorageError.self) { _ = try BlobStore(directory: path, threads: 1) }
            withExtendedLifetime(shared) {}
        }
        let own = try BlobStore(directory: path, threads: 1)
        #expect(throws: StorageError.self) { _ = try BlobStore(directory: path, threads: 1, sharing: .instances) }
        withExtendedLifetime(own) {}
    }

    @Test("once the database has an id, another directory is refused even while nothing is stored")
    func identity() async throws {
        let pair = try await InstancesFixture()
        for one in [pair.first, pair.second] {
            try await one.store.blobs.exclusively {
                try await StoreIdentity.check(SQLiteFileIndex(one.database), one.store.blobs)
            }
        }
        let other = try BlobStore(directory: pair.directory.file("other"), threads: 1, sharing: .instances)
        await #expect(throws: StoreIdentity.Mismatch.self) {
            try await StoreIdentity.check(SQLiteFileIndex(pair.second.database), other)
        }
        #expect(try await other.storeID() == nil)
    }

    @Test("two that start at once on an empty directory agree on its id and its key")
    func startedTogether() async throws {
        let pair = try await InstancesFixture()
        let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for one in [pair.first, pair.second] {
                group.addTask {
                    try await one.store.blobs.exclusively {
                        try await StoreIdentity.check(SQLiteFileIndex(one.database), one.store.blobs)
                        let directory = one.store.blobs.directory
                        return try SigningKey.load(directory + "/url.key", in: directory)
                    }
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(keys.count == 1)
    }

    @Test("limits hold over both, to the file")
    func quota() async throws {
        let pair = try await InstancesFixture { $0.userFilesMax = 5 }
        let statuses = await withTaskGroup(of: Status.self) { group in
            for number in 0..<20 {
                let one = number.isMultiple(of: 2) ? pair.first : pair.second
                group.addTask { await one.upload(noise(100 + number)).status }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses.count { $0 == .created } == 5)
        #expect(statuses.count { $0.code == 413 } == 15)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("one collects at a time")
    func collectors() async throws {
        let pair = try await InstancesFixture()
        do {
            let turn = try await pair.first.store.blobs.lockCollection()
            await #expect(throws: StorageError.self) { _ = try await pair.second.store.blobs.lockCollection() }
            withExtendedLifetime(turn) {}
        }
        _ = try await pair.second.store.blobs.lockCollection()
    }

    // MARK: - A start while others work

    @Test("a start leaves alone what others are writing, and removes what the dead have left")
    func start() async throws {
        let pair = try await InstancesFixture()
        let bytes = noise(100_000)
        let text = #"{"file_name":"a","file_type":"","file_data":"\#(base64(bytes))"}"#
        let upload = HeldBody()
        async let uploaded = pair.first.send(
            .post,
            "/api/files/upload",
            headers: ["Content-Type": "application/json"],
            body: RequestBody(upload, announcedLength: nil)
        )
        upload.continuation.yield(Array(text.utf8.prefix(120_000)))
        #expect(await eventually { (try? pair.first.filesOnDisk().temporary.count) == 1 })
        let path = try await pair.first.begun(10)
        let part = HeldBody()
        async let received = pair.first.patch(path, at: 0, RequestBody(part, announcedLength: nil))
        for await _ in part.started { break }
        write(pair.directory.file("store/temporary/\(try await died(pair)).left"))
        let third = try await pair.started()
        let findings = try await third.store.repair()
        #expect(findings == FileStore.Findings(temporaryFilesRemoved: 1))
        #expect(try await third.uploads.repair() == PartialUploads.Findings())
        upload.continuation.yield(Array(text.utf8.dropFirst(120_000)))
        upload.continuation.finish()
        #expect(await uploaded.status == .created)
        part.continuation.yield(noise(10))
        part.continuation.finish()
        #expect(await received.status == .noContent)
        #expect(try await third.bytes(of: await third.send(.get, "/files/\(path.suffix(22))")) == noise(10))
        #expect(try await pair.inconsistencies() == [])
    }

    /// The name of an instance that has ended.
    private func died(_ pair: InstancesFixture) async throws -> String {
        let blobs = try BlobStore(directory: pair.directory.file("store"), threads: 1, sharing: .instances)
        return blobs.instance
    }

    @Test("no start removes an upload that is being created")
    func creations() async throws {
        let pair = try await InstancesFixture { $0.tusUploadsPerUserMax = 1000 }
        let paths = try await withThrowingTaskGroup(of: [String].self) { group in
            for one in [pair.first, pair.second] {
                group.addTask {
                    var paths: [String] = []
                    for _ in 0..<60 { paths.append(try await one.begun(10)) }
                    return paths
                }
            }
            group.addTask {
                let third = try await pair.started()
                for _ in 0..<60 { _ = try await third.uploads.repair() }
                return []
            }
            return try await group.reduce([], +)
        }
        #expect(paths.count == 120)
        for path in paths { #expect(await pair.second.offset(path) == "0") }
    }

    @Test("a blob that was left in the trash comes back if a record has it, and goes else")
    func trash() async throws {
        let pair = try await InstancesFixture()
        let document = try await pair.first.stored(jpeg)
        let blobs = pair.first.store.blobs
        #expect(try await blobs.moveToTrash(sha256: document.sha256) != nil)
        let orphan = Hex.encode(SHA256.hash(noise(10)))
        write(pair.first.path(ofBlob: orphan), noise(10))
        #expect(try await blobs.moveToTrash(sha256: orphan) != nil)
        // Until then it is found.
        #expect(try await pair.second.bytes(of: await pair.second.send(.get, document.url)) == jpeg)
        #expect(try await pair.second.store.repair() == FileStore.Findings(blobsRemoved: 1))
        #expect(try pair.first.filesOnDisk().blobs == [document.sha256])
        #expect(try await pair.inconsistencies() == [])
    }
}
