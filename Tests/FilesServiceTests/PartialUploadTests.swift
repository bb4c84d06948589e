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

@Suite("tus: what survives, what expires, who writes")
struct PartialUploadTests {
    /// The upload's id.
    private func id(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    private func partialFile(_ path: String, _ fixture: FilesFixture) -> String {
        fixture.directory.file("store/uploads/\(id(path))")
    }

    // MARK: - Restarts

    @Test("goes on after a restart at any point of the file, by the file's own size")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        let bytes = noise(3_000_000)
        var path = ""
        do {
            let fixture = try await FilesFixture(in: directory)
            path = try await fixture.begun(bytes.count)
            #expect(await fixture.patch(path, at: 0, bytes[..<1_000_000]).status == .noContent)
            await fixture.database.close()
        }
        // What a crash left beyond the last answer counts; what never reached the file does not.
        #expect(truncate(directory.file("store/uploads/\(id(path))"), 900_001) == 0)
        let fixture = try await FilesFixture(in: directory)
        #expect(try await fixture.uploads.repair() == PartialUploads.Findings())
        #expect(await fixture.offset(path) == "900001")
        for start in stride(from: 900_001, to: bytes.count, by: 100_000) {
            let end = min(start + 100_000, bytes.count)
            #expect(await fixture.patch(path, at: start, bytes[start..<end]).status == .noContent)
        }
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("a part with a checksum that a crash broke off does not count")
    func brokenChecksum() async throws {
        let directory = try TemporaryDirectory()
        let bytes = noise(200_000)
        var path = ""
        do {
            let fixture = try await FilesFixture(in: directory)
            path = try await fixture.begun(bytes.count)
            #expect(await fixture.patch(path, at: 0, bytes[..<50_000]).status == .noContent)
            // As the part leaves it while it is received.
            try await fixture.uploads.index.update(
                id(path),
                expiresAt: Timestamp.now().advanced(byMilliseconds: 60_000),
                verifiedLength: 50_000
            )
            let file = fixture.uploads.table.file(id(path))
            #expect(try await file.hold())
            try await file.append([UInt8](repeating: 0, count: 70_000))
            await fixture.database.close()
        }
        let fixture = try await FilesFixture(in: directory)
        #expect(await fixture.offset(path) == "50000")
        #expect(await fixture.patch(path, at: 50_000, bytes[50_000...]).status == .noContent)
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("an upload that crashed between its last byte and its record is completed when it is asked about")
    func crashBeforeRecord() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(jpeg.count)
        _ = try await fixture.database.write { db in
            try db.run("CREATE TRIGGER refuse BEFORE INSERT ON file BEGIN SELECT RAISE(ABORT, 'no'); END")
        }
        #expect(await fixture.patch(path, at: 0, jpeg).status == 500)
        #expect(try fixture.filesOnDisk().blobs.isEmpty)
        // It would be taken for done.
        #expect(await fixture.tus(.head, path).status == 500)
        _ = try await fixture.database.write { db in try db.run("DROP TRIGGER refuse") }
        #expect(await fixture.offset(path) == String(jpeg.count))
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(jpeg)))
        #expect(try fixture.partialFilesOnDisk().isEmpty)
    }

    @Test("a crash between blob and record leaves nothing that a resumed upload could change in other files")
    func sharedBlob() async throws {
        let directory = try TemporaryDirectory()
        let bytes = noise(50_000)
        var path = ""
        var other = ""
        do {
            let fixture = try await FilesFixture(in: directory)
            other = try await fixture.stored(bytes, as: FilesFixture.otherCustomer).url
            path = try await fixture.begun(bytes.count)
            let uploads = PartialUploads(
                fixture.store,
                index: CrashingIndex(base: fixture.uploads.index),
                slots: UploadSlots(perUserMax: 1, perNetworkMax: 1, totalMax: 1),
                log: fixture.store.log
            )
            let part = PartialUploads.Part(
                offset: 0,
                checksum: try TusChecksum(checksum("sha256", bytes)),
                body: RequestBody(bytes)
            )
            await #expect(throws: CrashingIndex.Crash.self) {
                _ = try await uploads.receive(part, of: id(path), by: FilesFixture.customer)
            }
            await fixture.database.close()
        }
        let fixture = try await FilesFixture(in: directory)
        _ = try await fixture.store.repair()
        _ = try await fixture.uploads.repair()
        // Its client sends something else now.
        _ = await fixture.patch(path, at: 0, [UInt8](repeating: 0, count: bytes.count))
        let response = await fixture.send(.get, other, as: FilesFixture.otherCustomer)
        #expect(try await fixture.bytes(of: response) == bytes)
        #expect(await fixture.offset(path) == String(bytes.count))
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("what comes without a checksum behind a broken-off part counts at once")
    func afterBrokenChecksum() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(100_000)
        #expect(await fixture.patch(path, at: 0, noise(100)).status == .noContent)
        let expiry = Timestamp.now().advanced(byMilliseconds: 60_000)
        try await fixture.uploads.index.update(id(path), expiresAt: expiry, verifiedLength: 50)
        let body = HeldBody()
        async let response = fixture.patch(path, at: 50, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        #expect(try await fixture.uploads.index.upload(id(path))?.verifiedLength == nil)
        body.continuation.yield(noise(10))
        body.continuation.finish()
        #expect(await response.status == .noContent)
        #expect(await fixture.offset(path) == "60")
    }

    @Test("start removes files without an upload and uploads without a file")
    func repair() async throws {
        let fixture = try await FilesFixture()
        let kept = try await fixture.begun(10)
        let lost = try await fixture.begun(10)
        let whole = try await fixture.begun(4)
        #expect(await fixture.patch(whole, at: 0, noise(4)).status == .noContent)
        #expect(unlink(partialFile(lost, fixture)) == 0)
        for name in ["stray", id(whole)] {
            close(open(fixture.directory.file("store/uploads/\(name)"), O_WRONLY | O_CREAT, 0o600))
        }
        #expect(await fixture.tus(.head, lost).status == 404)
        #expect(try await fixture.uploads.repair() == PartialUploads.Findings(filesRemoved: 2, uploadsRemoved: 1))
        #expect(try fixture.partialFilesOnDisk() == [id(kept)])
        #expect(await fixture.offset(kept) == "0")
        #expect(await fixture.offset(whole) == "4")
        #expect(try await fixture.uploads.index.openUploads() == [id(kept)])
    }

    // MARK: - Broken connections

    @Test("what arrived before the connection broke counts")
    func brokenConnection() async throws {
        let fixture = try await FilesFixture()
        let bytes = noise(200_000)
        let path = try await fixture.begun(bytes.count)
        let body = ScriptedBody([
            .success(Array(bytes[..<70_000])), .success(Array(bytes[70_000..<70_011])), .failure(.badRequest("gone")),
        ])
        #expect(await fixture.patch(path, at: 0, RequestBody(body, announcedLength: 200_000)).status == 400)
        #expect(await fixture.offset(path) == "70011")
        #expect(await fixture.patch(path, at: 70_011, bytes[70_011...]).status == .noContent)
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("HEAD tells what is on the disk while a part is received, and does not disturb it")
    func headMeanwhile() async throws {
        let fixture = try await FilesFixture(clock: ManualClock().clock)
        let path = try await fixture.begun(100_000)
        let body = HeldBody()
        async let response = fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        body.continuation.yield(noise(BlobWriter.pieceBytes))
        let file = fixture.uploads.table.file(id(path))
        #expect(try await eventually { try await file.offset() == BlobWriter.pieceBytes })
        #expect(await fixture.offset(path) == String(BlobWriter.pieceBytes))
        body.continuation.yield(Array(noise(100_000)[BlobWriter.pieceBytes...]))
        body.continuation.finish()
        #expect(await response.status == .noContent)
        #expect(await fixture.offset(path) == "100000")
    }

    @Test("a client that comes back takes over from its dead connection")
    func takeOver() async throws {
        let manual = ManualClock()
        let hasPassed = Atomic<Bool>(false)
        let clock = FilesClock(
            now: manual.clock.now,
            monotonicMilliseconds: manual.clock.monotonicMilliseconds,
            sleep: { duration in
                // The holder has been silent for long; then it has all the time it needs to leave.
                if hasPassed.exchange(true, ordering: .relaxed) {
                    await untilCancelled()
                    throw CancellationError()
                }
                manual.advance(duration)
            }
        )
        let fixture = try await FilesFixture(clock: clock)
        let bytes = noise(BlobWriter.pieceBytes + 1000)
        let path = try await fixture.begun(bytes.count)
        let dead = HeldBody()
        async let first = fixture.patch(path, at: 0, RequestBody(dead, announcedLength: bytes.count))
        dead.continuation.yield(Array(bytes[..<BlobWriter.pieceBytes]))
        let file = fixture.uploads.table.file(id(path))
        #expect(try await eventually { try await file.offset() == BlobWriter.pieceBytes })
        let rest = bytes[BlobWriter.pieceBytes...]
        #expect(await fixture.patch(path, at: BlobWriter.pieceBytes, rest).status == .noContent)
        let response = await first
        #expect(response.status == 423)
        #expect(try await fixture.problemCode(response) == "upload_locked")
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    @Test("a second part waits, and is refused while the first one is alive; so is a third at once")
    func concurrent() async throws {
        let fixture = try await FilesFixture(perUserMax: 10, totalMax: 10, clock: ManualClock().stoppedClock)
        let path = try await fixture.begun(10)
        let body = HeldBody()
        async let first = fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        async let second = fixture.patch(path, at: 4, noise(6))
        #expect(await eventually { fixture.uploads.leases.isAwaited(self.id(path)) })
        let third = await fixture.patch(path, at: 0, noise(1))
        #expect(third.status == 423 && third.headers["Retry-After"] == "1")
        // The second one's turn comes as soon as the first has ended.
        body.continuation.yield(noise(4))
        body.continuation.finish()
        #expect(await first.status == .noContent)
        #expect(await second.status == .noContent)
        #expect(await fixture.offset(path) == "10")
    }

    @Test("a holder that receives bytes keeps its place, and the other's wait has an end")
    func alive() async throws {
        let manual = ManualClock()
        let touch = Mutex<(@Sendable () -> Void)?>(nil)
        let clock = FilesClock(
            now: manual.clock.now,
            monotonicMilliseconds: manual.clock.monotonicMilliseconds,
            sleep: { duration in
                try Task.checkCancellation()
                manual.advance(duration / 2 + 1)
                touch.withLock { $0 }?()
            }
        )
        let leases = UploadLeases(clock: clock)
        try await leases.with("a") { holder in
            touch.withLock { $0 = { leases.touch(holder) } }
            await #expect(throws: FilesError.uploadLocked) { try await leases.with("a") { _ in } }
            #expect(!holder.isInterrupted)
            touch.withLock { $0 = nil }
            await #expect(throws: FilesError.uploadLocked) { try await leases.with("a") { _ in } }
            #expect(holder.isInterrupted)
            try await leases.with("b") { _ in }
        }
        try await leases.with("a") { _ in }
    }

    @Test("termination takes over from a part that is alive")
    func terminatedMeanwhile() async throws {
        let fixture = try await FilesFixture()
        let path = try await fixture.begun(10)
        let body = HeldBody()
        async let first = fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        #expect(await fixture.tus(.delete, path).status == .noContent)
        #expect(await first.status == 423)
        #expect(await fixture.tus(.head, path).status == 404)
        #expect(try fixture.partialFilesOnDisk().isEmpty)
    }

    @Test("to ask for the offset brings nothing to the disk, and takes nothing from below who writes")
    func offsetMeanwhile() async throws {
        // Where fsync fails.
        let file = PartialFile(path: "/dev/null", freeBytesMin: 0, executor: QueueExecutor(label: "offset"))
        #expect(try await file.hold())
        #expect(try await file.open(verifiedLength: nil) == 0)
        try await file.append(noise(10))
        #expect(try await file.offset() == 10)
        try await file.append(noise(5))
        #expect(try await file.offset() == 15)
        await #expect(throws: FilesError.systemCall("fsync", path: "/dev/null", errno: EINVAL)) {
            try await file.synchronize()
        }
    }

    @Test("termination goes before a request that waits for the same upload")
    func terminatedBeforeOthers() async throws {
        let fixture = try await FilesFixture(perUserMax: 10, totalMax: 10, clock: ManualClock().stoppedClock)
        let path = try await fixture.begun(10)
        let body = HeldBody()
        async let first = fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        async let second = fixture.patch(path, at: 4, noise(6))
        #expect(await eventually { fixture.uploads.leases.isAwaited(self.id(path)) })
        #expect(await fixture.tus(.delete, path).status == .noContent)
        #expect(await first.status == 423)
        #expect(await second.status == 423)
        #expect(await fixture.tus(.head, path).status == 404)
        #expect(try fixture.partialFilesOnDisk().isEmpty)
        #expect(!fixture.uploads.leases.isAwaited(id(path)))
    }

    @Test("many parts at once leave one upload whole")
    func race() async throws {
        let fixture = try await FilesFixture(perUserMax: 100, totalMax: 100)
        let bytes = noise(100_000)
        let path = try await fixture.begun(bytes.count)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    while let text = await fixture.offset(path), let offset = Int(text), offset < bytes.count {
                        let end = min(offset + 7001, bytes.count)
                        let status = await fixture.patch(path, at: offset, bytes[offset..<end]).status
                        #expect([204, 409, 413, 423].contains(status.code))
                    }
                }
            }
        }
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }

    // MARK: - Time

    @Test("expires when nothing has come for its time, which slides with each part; then 410, later 404")
    func expiry() async throws {
        let manual = ManualClock()
        let fixture = try await FilesFixture(fileBytesMax: 100, clock: manual.clock) {
            $0.tusUploadsPerUserMax = 9
            $0.uploadExpiry = .seconds(60)
        }
        let path = try await fixture.begun(10)
        let whole = try await fixture.begun(4)
        #expect(await fixture.patch(whole, at: 0, noise(4)).status == .noContent)
        for offset in 0..<3 {
            manual.advance(59_000)
            let response = await fixture.patch(path, at: offset, [1])
            #expect(response.status == .noContent)
            let expires = manual.now.advanced(byMilliseconds: 60_000)
            #expect(response.headers["Upload-Expires"] == HTTPDate.text(expires))
        }
        manual.advance(59_999)
        try await fixture.uploads.sweep()
        #expect(await fixture.offset(path) == "3")
        manual.advance(1)
        for swept in [false, true] {
            if swept { try await fixture.uploads.sweep() }
            let response = await fixture.tus(.head, path)
            #expect(response.status == 410)
            #expect(await fixture.patch(path, at: 3, [1]).status == 410)
            #expect(await fixture.tus(.delete, path).status == 410)
            #expect(try fixture.partialFilesOnDisk().isEmpty == swept)
        }
        // The file outlives its upload.
        #expect(await fixture.tus(.head, whole).status == 410)
        manual.advance(PartialUploads.removedKept + 1)
        try await fixture.uploads.sweep()
        for gone in [path, whole] { #expect(await fixture.tus(.head, gone).status == 404) }
        #expect(try await fixture.file(whole).status == .ok)
        #expect(try await fixture.uploads.repair() == PartialUploads.Findings())
    }

    @Test("the sweep leaves an upload alone while a part is received, however many have expired")
    func sweptMeanwhile() async throws {
        let manual = ManualClock()
        let fixture = try await FilesFixture(fileBytesMax: 100, clock: manual.clock) {
            $0.tusUploadsPerUserMax = 1000
            $0.uploadExpiry = .seconds(60)
        }
        let path = try await fixture.begun(10)
        for _ in 0...PartialUploads.sweptMax { _ = try await fixture.begun(10) }
        let body = HeldBody()
        async let response = fixture.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        manual.advance(61_000)
        try await fixture.uploads.sweep()
        #expect(try fixture.partialFilesOnDisk() == [id(path)])
        body.continuation.yield([1])
        body.continuation.finish()
        #expect(await response.status == .noContent)
        #expect(await fixture.offset(path) == "1")
    }

    // MARK: - Bounds

    @Test("forgets what it knows of the files used longest ago, and the uploads go on")
    func forgotten() async throws {
        let fixture = try await FilesFixture()
        let bytes = noise(100_000)
        let path = try await fixture.begun(bytes.count)
        #expect(await fixture.patch(path, at: 0, bytes[..<60_000]).status == .noContent)
        let known = fixture.uploads.table.file(id(path))
        for number in 0...PartialFileTable.countMax { _ = fixture.uploads.table.file("other\(number)") }
        #expect(fixture.uploads.table.file(id(path)) !== known)
        #expect(await fixture.patch(path, at: 60_000, bytes[60_000...]).status == .noContent)
        #expect(try await fixture.document(try await fixture.file(path)).sha256 == Hex.encode(SHA256.hash(bytes)))
    }
}
