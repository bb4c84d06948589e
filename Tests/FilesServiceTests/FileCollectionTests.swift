import Contracts
import Core
import Crypto
import Glibc
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import FilesService

@Suite("File store: collection while it is used")
struct FileCollectionTests {
    private let manual = ManualClock()
    /// No blob is too young for it.
    private let future = Timestamp.now().advanced(byMilliseconds: 3_600_000)

    private func collector(_ store: FileStore, metrics: Metrics = Metrics()) -> FileCollector {
        FileCollector(store, clock: manual.clock, log: store.log, metrics: metrics)
    }

    /// A store on the fixture's blobs that calls what is given.
    private func watched(
        _ fixture: FilesFixture,
        beforeInsertion: @escaping @Sendable (FileRecord) async throws -> Void = { _ in },
        beforeLook: @escaping @Sendable (String) async throws -> Void = { _ in },
        afterLook: @escaping @Sendable (String) async throws -> Void = { _ in }
    ) -> FileStore {
        FileStore(
            index: WatchedIndex(
                base: fixture.store.index,
                beforeLook: beforeLook,
                afterLook: afterLook,
                beforeInsertion: beforeInsertion
            ),
            blobs: fixture.store.blobs,
            limits: fixture.store.limits,
            log: fixture.store.log
        )
    }

    private func add(_ bytes: [UInt8], to store: FileStore) async throws -> FileRecord {
        let writer = store.blobs.makeWriter()
        try await writer.append(bytes)
        let document = UploadDocument(fileName: "a", declaredType: "")
        return try await store.add(
            try await writer.finish(),
            from: writer,
            document: document,
            by: FilesFixture.customer
        )
    }

    @Test("removes old blobs without a record and old temporary files, and leaves the rest alone")
    func ages() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let root = fixture.directory.file("store")
        let old = manual.now.advanced(byMilliseconds: -FileCollector.blobAgeMin - 1000)
        let orphan = String(repeating: "ab", count: 32)
        let young = String(repeating: "cd", count: 32)
        write("\(root)/blobs/ab/\(orphan)", modifiedAt: old)
        write("\(root)/blobs/cd/\(young)", modifiedAt: manual.now)
        write(fixture.path(ofBlob: document.sha256), jpeg, modifiedAt: old)
        write("\(root)/temporary/kept", modifiedAt: old)
        write(
            "\(root)/temporary/left",
            modifiedAt: manual.now.advanced(byMilliseconds: -FileCollector.temporaryAgeMin - 1000)
        )
        let metrics = Metrics(includesProcess: false)
        let findings = try await collector(fixture.store, metrics: metrics).collect()
        #expect(findings == FileStore.Findings(temporaryFilesRemoved: 1, blobsRemoved: 1))
        let disk = try fixture.filesOnDisk()
        #expect(Set(disk.blobs) == [document.sha256, young])
        #expect(disk.temporary == ["kept"])
        #expect(metrics.text.contains("files_blobs_collected_total 1\n"))
        #expect(metrics.text.contains("files_blobs_missing 0\n"))
    }

    @Test("reports what is missing, until it is there again")
    func missing() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        #expect(unlink(fixture.path(ofBlob: document.sha256)) == 0)
        let metrics = Metrics(includesProcess: false)
        let collector = collector(fixture.store, metrics: metrics)
        #expect(try await collector.collect().missing == [document.sha256])
        #expect(metrics.text.contains("files_blobs_missing 1\n"))
        _ = try await fixture.stored(jpeg)
        #expect(try await collector.collect() == FileStore.Findings())
        #expect(metrics.text.contains("files_blobs_missing 0\n"))
    }

    @Test("content that is uploaded between the look and the removal stays")
    func uploadedMeanwhile() async throws {
        let fixture = try await FilesFixture()
        let sha256 = Hex.encode(SHA256.hash(jpeg))
        write(
            fixture.path(ofBlob: sha256),
            jpeg,
            modifiedAt: manual.now.advanced(byMilliseconds: -FileCollector.blobAgeMin - 1000)
        )
        let store = Mutex<FileStore?>(nil)
        let watched = watched(
            fixture,
            afterLook: { prefix in
                guard sha256.hasPrefix(prefix), let store = store.withLock({ $0 }) else { return }
                _ = try await self.add(jpeg, to: store)
            }
        )
        store.withLock { $0 = watched }
        #expect(try await collector(watched).collect() == FileStore.Findings())
        #expect(try fixture.filesOnDisk().blobs == [sha256])
    }

    @Test("collection waits for an upload that has its blob and not its record yet")
    func waitsForRecord() async throws {
        let fixture = try await FilesFixture()
        let state = Mutex<(store: FileStore?, task: Task<FileStore.Findings, any Error>?)>((nil, nil))
        let watched = watched(
            fixture,
            beforeInsertion: { record in
                guard let store = state.withLock({ $0.store }) else { return }
                let task = Task {
                    var findings = FileStore.Findings()
                    let shard = String(record.sha256.prefix(2))
                    try await store.collect(shard: shard, modifiedBefore: future, &findings)
                    return findings
                }
                state.withLock { $0.task = task }
                #expect(await eventually(within: .seconds(10)) { store.gate.isAwaited(record.sha256) })
            }
        )
        state.withLock { $0.store = watched }
        let record = try await add(jpeg, to: watched)
        #expect(try await state.withLock { $0.task }?.value == FileStore.Findings())
        #expect(try fixture.filesOnDisk().blobs == [record.sha256])
    }

    @Test(
        "what is uploaded between the two looks is not missing, and what is deleted is not found"
    )
    func changedMeanwhile() async throws {
        let fixture = try await FilesFixture()
        let deleted = try await add(noise(10), to: fixture.store)
        let watched = watched(
            fixture,
            beforeLook: { prefix in
                if deleted.sha256.hasPrefix(prefix) {
                    _ = try await fixture.store.remove(deleted.id, by: FilesFixture.customer)
                } else {
                    _ = try await self.add(jpeg, to: fixture.store)
                }
            }
        )
        var findings = FileStore.Findings()
        let sha256 = Hex.encode(SHA256.hash(jpeg))
        for shard in [sha256, deleted.sha256].map({ String($0.prefix(2)) }) {
            try await watched.collect(shard: shard, modifiedBefore: future, &findings)
        }
        #expect(findings == FileStore.Findings())
        #expect(try fixture.filesOnDisk().blobs == [sha256])
    }

    @Test("uploads, deletions and collection of the same contents at once leave each record its blob, and no other")
    func race() async throws {
        let fixture = try await FilesFixture { $0.userFilesMax = 1_000_000 }
        let store = fixture.store
        let seed = UInt64.random(in: 0...UInt64.max)
        let contents = (0..<3).map { noise(1000 + $0) }
        let shards = contents.map { String(Hex.encode(SHA256.hash($0)).prefix(2)) }
        let found = try await withThrowingTaskGroup(of: Int.self) { group in
            for user in 0..<4 {
                group.addTask {
                    var generator = SeededGenerator(seed: seed &+ UInt64(user))
                    var records: [FileRecord] = []
                    for _ in 0..<100 {
                        if Bool.random(using: &generator) || records.isEmpty {
                            let bytes = contents.randomElement(using: &generator) ?? []
                            records.append(try await self.add(bytes, to: store))
                        } else {
                            let index = Int.random(in: 0..<records.count, using: &generator)
                            _ = try await store.remove(records.remove(at: index).id, by: FilesFixture.customer)
                        }
                    }
                    return 0
                }
            }
            group.addTask {
                var findings = FileStore.Findings()
                for _ in 0..<60 {
                    for shard in shards { try await store.collect(shard: shard, modifiedBefore: future, &findings) }
                }
                return findings.missing.count
            }
            return try await group.reduce(0, +)
        }
        var recorded: Set<String> = []
        for shard in shards { recorded.formUnion(try await store.index.blobs(prefix: shard)) }
        #expect(Set(try fixture.filesOnDisk().blobs) == recorded, "seed \(seed)")
        #expect(found == 0, "seed \(seed)")
    }

    @Test("looks every hour, not at once, until it is cancelled")
    func keepsUp() async throws {
        let fixture = try await FilesFixture()
        let waits = Mutex<[Int64]>([])
        let path = fixture.path(ofBlob: String(repeating: "ab", count: 32))
        write(path, modifiedAt: manual.now.advanced(byMilliseconds: -FileCollector.blobAgeMin - 1000))
        let clock = FilesClock(
            now: manual.clock.now,
            monotonicMilliseconds: manual.clock.monotonicMilliseconds,
            sleep: { duration in
                waits.withLock { $0.append(duration) }
                if waits.withLock({ $0.count }) == 1 { #expect(access(path, F_OK) == 0) }
                try await self.manual.clock.sleep(duration)
            }
        )
        let collector = FileCollector(fixture.store, clock: clock, log: fixture.store.log, metrics: Metrics())
        let task = Task { await collector.keepUp() }
        let steps = BlobStore.shards.count
        #expect(await eventually { waits.withLock { $0.count } > steps + 1 })
        task.cancel()
        await task.value
        let seen = waits.withLock { $0 }
        #expect(seen[0] == FileCollector.interval && seen[steps + 1] == FileCollector.interval)
        #expect(seen[1...steps].allSatisfy { $0 == FileCollector.stepPause })
        #expect(access(path, F_OK) != 0)
    }
}
