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

@Suite("Several instances: parts of one upload")
struct InstancePartsTests {
    private func id(_ path: String) -> String { String(path.suffix(22)) }

    private func content(_ path: String, _ fixture: FilesFixture) async throws -> [UInt8] {
        try await fixture.bytes(of: await fixture.send(.get, "/files/\(id(path))"))
    }

    @Test("any instance takes any part, and finds the whole file's hash")
    func alternating() async throws {
        let pair = try await InstancesFixture()
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let bytes = noise(2_000_000)
        for _ in 0..<5 {
            let path = try await pair.first.begun(bytes.count)
            var offset = 0
            while offset < bytes.count {
                let one = Bool.random(using: &generator) ? pair.first : pair.second
                let end = min(bytes.count, offset + Int.random(in: 1...400_000, using: &generator))
                let part = Array(bytes[offset..<end])
                switch Int.random(in: 0..<4, using: &generator) {
                case 0:
                    let wrong = await one.patch(path, at: offset, RequestBody(part), checksum: checksum("sha1", [1]))
                    #expect(wrong.status.code == 460, "seed \(seed)")
                case 1:
                    let right = await one.patch(path, at: offset, RequestBody(part), checksum: checksum("sha1", part))
                    #expect(right.status == .noContent, "seed \(seed)")
                    offset = end
                default:
                    #expect(await one.patch(path, at: offset, part).status == .noContent, "seed \(seed)")
                    offset = end
                }
                #expect(await pair.first.offset(path) == String(offset), "seed \(seed)")
                #expect(await pair.second.offset(path) == String(offset), "seed \(seed)")
            }
            let document = try await pair.second.document(try await pair.second.file(path))
            #expect(document.sha256 == Hex.encode(SHA256.hash(bytes)), "seed \(seed)")
            #expect(await pair.second.send(.delete, "/api/files/\(id(path))").status == .noContent)
        }
        #expect(try await pair.inconsistencies() == [], "seed \(seed)")
    }

    @Test("what another instance has cut and written anew is hashed anew")
    func rewritten() async throws {
        let pair = try await InstancesFixture()
        let bytes = noise(200_000)
        let path = try await pair.first.begun(bytes.count)
        #expect(await pair.first.patch(path, at: 0, noise(100_000).reversed()).status == .noContent)
        // As after a part with a checksum that was broken off there.
        try await pair.second.uploads.index.update(
            id(path),
            expiresAt: Timestamp.now().advanced(byMilliseconds: 60_000),
            verifiedLength: 0
        )
        #expect(await pair.second.patch(path, at: 0, bytes[..<100_000]).status == .noContent)
        #expect(await pair.first.patch(path, at: 100_000, bytes[100_000...]).status == .noContent)
        #expect(try await content(path, pair.second) == bytes)
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("a part that arrives keeps another instance's away; the offset is told meanwhile")
    func busy() async throws {
        let pair = try await InstancesFixture()
        let path = try await pair.first.begun(1_000_000)
        let file = pair.first.uploads.table.file(id(path))
        #expect(try await file.hold())
        try await file.append(noise(1000))
        let refused = await pair.second.patch(path, at: 1000, noise(10))
        #expect(refused.status.code == 423 && refused.headers["Retry-After"] != nil)
        #expect(await pair.second.offset(path) == "1000")
        await file.close()
        #expect(await pair.second.patch(path, at: 1000, noise(10)).status == .noContent)
    }

    @Test(
        "a part that has stood still is taken over by another instance, and counts no further",
        arguments: [false, true]
    )
    func idle(hasChecksum: Bool) async throws {
        let pair = try await InstancesFixture()
        let bytes = noise(300_000)
        let path = try await pair.first.begun(bytes.count)
        #expect(await pair.first.patch(path, at: 0, bytes[..<100_000]).status == .noContent)
        let body = HeldBody()
        let sum = hasChecksum ? checksum("sha256", bytes) : nil
        async let first = pair.first.patch(
            path,
            at: 100_000,
            RequestBody(body, announcedLength: nil),
            checksum: sum
        )
        body.continuation.yield([UInt8](repeating: 0, count: 70_000))
        let file = pair.directory.file("store/uploads/\(id(path))")
        #expect(await eventually { (try? SystemCall.status(file)?.st_size) == 170_000 })
        let offset = try #require(await pair.second.offset(path).flatMap { Int($0) })
        #expect(offset == (hasChecksum ? 100_000 : 170_000))
        // Over what has come, since it was no good; for the test it begins where it may.
        let rest = hasChecksum ? Array(bytes[offset...]) : [UInt8](repeating: 1, count: bytes.count - offset)
        let second = await pair.second.patch(path, at: offset, Array(rest[..<70_000]))
        #expect(second.status == .noContent)
        body.continuation.yield([UInt8](repeating: 0, count: 70_000))
        body.continuation.finish()
        #expect(await first.status.code == 423)
        #expect(await pair.second.offset(path) == String(offset + 70_000))
        #expect(await pair.first.patch(path, at: offset + 70_000, Array(rest[70_000...])).status == .noContent)
        let expected = hasChecksum ? bytes : bytes[..<100_000] + [UInt8](repeating: 0, count: 70_000) + rest
        #expect(try await content(path, pair.second) == Array(expected))
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("a part that stood still goes on if nobody came")
    func resumed() async throws {
        let pair = try await InstancesFixture()
        let bytes = noise(150_000)
        let path = try await pair.first.begun(bytes.count)
        let file = pair.first.uploads.table.file(id(path))
        let body = HeldBody()
        async let first = pair.first.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        body.continuation.yield(Array(bytes[..<70_000]))
        #expect(await eventually { (try? await file.offset()) == 70_000 })
        #expect(await eventually { await !file.isHeld })
        // To ask moves nothing.
        #expect(await pair.second.offset(path) == "70000")
        body.continuation.yield(Array(bytes[70_000...]))
        body.continuation.finish()
        #expect(await first.status == .noContent)
        #expect(try await content(path, pair.second) == bytes)
    }

    @Test("termination by one ends what another one receives")
    func terminated() async throws {
        let pair = try await InstancesFixture()
        let path = try await pair.first.begun(10)
        let body = HeldBody()
        async let first = pair.first.patch(path, at: 0, RequestBody(body, announcedLength: nil))
        for await _ in body.started { break }
        #expect(await pair.second.tus(.delete, path).status == .noContent)
        body.continuation.yield(noise(10))
        body.continuation.finish()
        #expect(await first.status.code == 404)
        #expect(await pair.first.tus(.head, path).status.code == 404)
        #expect(try pair.first.partialFilesOnDisk().isEmpty)
        #expect(try await pair.second.store.index.usage(of: FilesFixture.customer.userID) == FileUsage())
        #expect(try await pair.inconsistencies() == [])
    }

    @Test("last bytes and a termination at once leave a file that is deleted, or none")
    func terminatedAtTheEnd() async throws {
        let pair = try await InstancesFixture()
        for _ in 0..<40 {
            let path = try await pair.first.begun(10)
            async let part = pair.first.patch(path, at: 0, noise(10))
            async let end = pair.second.tus(.delete, path)
            let (received, ended) = await (part.status, end.status)
            #expect([204, 404].contains(received.code), "\(received)")
            #expect([204, 404].contains(ended.code), "\(ended)")
            #expect(await pair.second.send(.get, "/files/\(id(path))").status.code == 404)
        }
        #expect(try await pair.second.store.index.usage(of: FilesFixture.customer.userID) == FileUsage())
        #expect(try await pair.inconsistencies() == [])
        #expect(try pair.first.partialFilesOnDisk().isEmpty)
    }

    @Test("an expired upload that another instance writes to is left alone")
    func expired() async throws {
        let pair = try await InstancesFixture()
        let path = try await pair.first.begun(10)
        let file = pair.first.uploads.table.file(id(path))
        try await pair.first.uploads.index.update(
            id(path),
            expiresAt: Timestamp.now().advanced(byMilliseconds: -1000),
            verifiedLength: nil
        )
        #expect(try await file.hold())
        try await pair.second.uploads.sweep()
        #expect(try pair.first.partialFilesOnDisk() == [id(path)])
        await file.close()
        try await pair.second.uploads.sweep()
        #expect(try pair.first.partialFilesOnDisk().isEmpty)
        #expect(await pair.first.tus(.head, path).status.code == 410)
    }
}
