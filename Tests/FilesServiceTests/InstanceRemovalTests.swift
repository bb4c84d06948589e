import Contracts
import Core
import Crypto
import Glibc
import HTTP
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import FilesService

@Suite("Several instances: what one publishes and another removes")
struct InstanceRemovalTests {
    /// A place that one task comes to and waits at until another lets it go on.
    private final class Stop: Sendable {
        private let came: AsyncStream<Void>
        private let coming: AsyncStream<Void>.Continuation
        private let opened: AsyncStream<Void>
        private let opening: AsyncStream<Void>.Continuation

        init() {
            (came, coming) = AsyncStream.makeStream()
            (opened, opening) = AsyncStream.makeStream()
        }

        func pass() async {
            coming.finish()
            for await _ in opened {}
        }

        func untilSomebodyIsThere() async { for await _ in came {} }

        func open() { opening.finish() }
    }

    private func watched(_ fixture: FilesFixture, _ change: (inout WatchedIndex) -> Void) -> FileStore {
        var index = WatchedIndex(base: fixture.store.index)
        change(&index)
        return FileStore(
            index: index,
            blobs: fixture.store.blobs,
            limits: fixture.store.limits,
            log: fixture.store.log
        )
    }

    private func add(_ bytes: [UInt8], to store: FileStore) async throws -> FileRecord {
        let writer = store.blobs.makeWriter()
        try await writer.append(bytes)
        let record = try await store.add(
            try await writer.finish(),
            from: writer,
            document: UploadDocument(fileName: "a", declaredType: ""),
            by: FilesFixture.customer
        )
        await writer.discard()
        return record
    }

    private func read(_ record: FileRecord, from fixture: FilesFixture) async throws -> [UInt8] {
        try await fixture.bytes(of: await fixture.send(.get, "/files/\(record.id)"))
    }

    @Test("a blob that another instance removes before its record is stored is published again")
    func removedBeforeRecord() async throws {
        let pair = try await InstancesFixture()
        let old = try await add(jpeg, to: pair.second.store)
        let looks = Atomic<Int>(0)
        let store = watched(pair.first) { index in
            index.beforeInsertion = { record in
                guard looks.add(1, ordering: .relaxed).oldValue == 0 else { return }
                #expect(access(pair.first.path(ofBlob: record.sha256), F_OK) == 0)
                _ = try await pair.second.store.remove(old.id, by: FilesFixture.customer)
                #expect(access(pair.first.path(ofBlob: record.sha256), F_OK) != 0)
            }
        }
        let record = try await add(jpeg, to: store)
        #expect(looks.load(ordering: .relaxed) == 2)
        #expect(try await read(record, from: pair.second) == jpeg)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("the same for the last part of an upload")
    func removedBeforeCompletion() async throws {
        let pair = try await InstancesFixture()
        let old = try await add(jpeg, to: pair.second.store)
        let stop = Stop()
        let path = try await pair.first.begun(jpeg.count)
        let store = watched(pair.second) { index in index.beforeCondemnation = { await stop.pass() } }
        async let removal = store.remove(old.id, by: FilesFixture.customer)
        await stop.untilSomebodyIsThere()
        #expect(await pair.first.patch(path, at: 0, jpeg).status == .noContent)
        stop.open()
        _ = try await removal
        let id = String(path.suffix(22))
        #expect(try await pair.second.bytes(of: await pair.second.send(.get, "/files/\(id)")) == jpeg)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("a blob whose record is stored while another instance removes it can be read all the time, and comes back")
    func storedBeforeCondemnation() async throws {
        let pair = try await InstancesFixture()
        let (published, moved) = (Stop(), Stop())
        let uploader = watched(pair.first) { index in index.beforeInsertion = { _ in await published.pass() } }
        let collector = watched(pair.second) { index in index.beforeCondemnation = { await moved.pass() } }
        let sha256 = Hex.encode(SHA256.hash(jpeg))
        async let adding = add(jpeg, to: uploader)
        await published.untilSomebodyIsThere()
        async let isRemoved = collector.removeBlobIfUnreferenced(sha256)
        await moved.untilSomebodyIsThere()
        #expect(access(pair.first.path(ofBlob: sha256), F_OK) != 0)
        published.open()
        let record = try await adding
        for one in [pair.first, pair.second] {
            #expect(try await read(record, from: one) == jpeg)
            var findings = FileStore.Findings()
            try await one.store.collect(shard: String(sha256.prefix(2)), modifiedBefore: .now(), &findings)
            #expect(findings == FileStore.Findings())
        }
        moved.open()
        #expect(try await isRemoved == false)
        #expect(access(pair.first.path(ofBlob: sha256), F_OK) == 0)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("a blob is uploaded anew while its removal is decided: the old file goes, the new one stays")
    func uploadedAfterMove() async throws {
        let pair = try await InstancesFixture()
        let old = try await add(jpeg, to: pair.second.store)
        let stop = Stop()
        let removing = watched(pair.second) { index in index.beforeCondemnation = { await stop.pass() } }
        async let removal = removing.remove(old.id, by: FilesFixture.customer)
        await stop.untilSomebodyIsThere()
        let record = try await add(jpeg, to: pair.first.store)
        stop.open()
        _ = try await removal
        #expect(try await read(record, from: pair.second) == jpeg)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("a record on its way when its instance was given up comes too late once its blob was removed")
    func lateRecord() async throws {
        let pair = try await InstancesFixture()
        let count = Atomic<Int>(0)
        // The record, and the fence that is to find out what became of it.
        pair.log.decide { _ in count.add(1, ordering: .relaxed).oldValue < 2 ? .delayed : .done }
        #expect(await pair.first.upload(jpeg).status.code == 503)
        #expect(try pair.first.filesOnDisk().blobs.isEmpty)
        pair.log.deliverDelayed()
        pair.log.deliverDelayed()
        #expect(try await pair.inconsistencies() == [])
        #expect(try await pair.second.store.index.usage(of: FilesFixture.customer.userID) == FileUsage())
    }

    @Test("a record that was stored though its answer was lost keeps its blob")
    func lostAnswer() async throws {
        let pair = try await InstancesFixture()
        let count = Atomic<Int>(0)
        pair.log.decide { _ in
            switch count.add(1, ordering: .relaxed).oldValue {
            case 0: .answerLost
            case 1: .refused
            default: .done
            }
        }
        #expect(await pair.first.upload(jpeg).status.code == 503)
        #expect(try pair.second.filesOnDisk().blobs.count == 1)
        #expect(try await pair.second.store.index.usage(of: FilesFixture.customer.userID).files == 1)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("without an answer to its condemnation a blob stays")
    func condemnationFails() async throws {
        let pair = try await InstancesFixture()
        let record = try await add(jpeg, to: pair.first.store)
        let store = watched(pair.second) { index in
            index.beforeCondemnation = { throw ChangeLogError.unavailable("away") }
        }
        _ = try await store.remove(record.id, by: FilesFixture.customer)
        #expect(try pair.first.filesOnDisk().blobs == [record.sha256])
        #expect(try await pair.inconsistencies() == ["blob without record \(record.sha256)"])
        #expect(try await pair.first.store.removeBlobIfUnreferenced(record.sha256))
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("uploads, deletions and collections by all at once leave each record its blob, and no other blob")
    func random() async throws {
        let pair = try await InstancesFixture { $0.userFilesMax = 1_000_000 }
        let seed = UInt64.random(in: 0...UInt64.max)
        let contents = (0..<3).map { noise(1000 + $0) }
        let shards = contents.map { String(Hex.encode(SHA256.hash($0)).prefix(2)) }
        let future = Timestamp.now().advanced(byMilliseconds: 3_600_000)
        let missing = try await withThrowingTaskGroup(of: Int.self) { group in
            for number in 0..<6 {
                let one = number.isMultiple(of: 2) ? pair.first : pair.second
                group.addTask {
                    var generator = SeededGenerator(seed: seed &+ UInt64(number))
                    var records: [FileRecord] = []
                    var unread = 0
                    for _ in 0..<60 {
                        if Bool.random(using: &generator) || records.isEmpty {
                            let bytes = contents.randomElement(using: &generator) ?? []
                            records.append(try await self.add(bytes, to: one.store))
                            let reader = Bool.random(using: &generator) ? pair.first : pair.second
                            let record = records[records.count - 1]
                            if try await self.read(record, from: reader) != bytes { unread += 1 }
                        } else {
                            let index = Int.random(in: 0..<records.count, using: &generator)
                            _ = try await one.store.remove(records.remove(at: index).id, by: FilesFixture.customer)
                        }
                    }
                    return unread
                }
            }
            for one in [pair.first, pair.second] {
                group.addTask {
                    var findings = FileStore.Findings()
                    for _ in 0..<40 {
                        for shard in shards {
                            try await one.store.collect(shard: shard, modifiedBefore: future, &findings)
                        }
                        try await one.store.emptyTrash(&findings)
                    }
                    return findings.missing.count
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(missing == 0, "seed \(seed)")
        // What failed attempts of others have left; nobody is at work any more.
        var findings = FileStore.Findings()
        for shard in shards { try await pair.first.store.collect(shard: shard, modifiedBefore: future, &findings) }
        #expect(try await pair.inconsistencies() == [], "seed \(seed)")
    }
}
