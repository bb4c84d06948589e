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

@Suite("A full database")
struct FullDiskTests {
    /// Lets the database have no page more than it has.
    private func fill(_ fixture: FilesFixture) async throws {
        try await fixture.database.withConnection { db in
            try db.setPragma("max_page_count", try db.pragma("page_count"))
        }
    }

    @Test("an upload whose record finds no room is 507 and leaves no blob; a deletion makes room again")
    func insertFails() async throws {
        let fixture = try await FilesFixture()
        try await fill(fixture)
        var stored: [String] = []
        var status = Status.created
        while status == .created, stored.count < 300 {
            let response = await fixture.upload(noise(100 + stored.count), name: String(repeating: "n", count: 255))
            status = response.status
            if status == .created { stored.append(try await fixture.document(response).fileID) }
        }
        #expect(status.code == 507 && !stored.isEmpty)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.count == stored.count && disk.temporary.isEmpty)
        for id in stored { #expect(await fixture.send(.delete, "/api/files/\(id)").status == .noContent) }
        #expect(await fixture.upload(jpeg).status == .created)
    }

    @Test("an upload in parts whose record finds no room is 507, and its bytes are given back")
    func completeFails() async throws {
        let fixture = try await FilesFixture { $0.tusUploadsPerUserMax = 1000 }
        let bytes = noise(5000)
        var status = Status.noContent
        var count = 0
        while status == .noContent, count < 300 {
            let path = try await fixture.begun(bytes.count, name: String(repeating: "n", count: 200))
            try await fill(fixture)
            status = await fixture.patch(path, at: 0, RequestBody(bytes), checksum: checksum("sha256", bytes)).status
            if status.code == 507 { #expect(await fixture.tus(.head, path).status.code == 404) }
            try await fixture.database.withConnection { try $0.setPragma("max_page_count", 1 << 30) }
            count += 1
        }
        #expect(status.code == 507 && count > 1)
        #expect(try fixture.partialFilesOnDisk().isEmpty)
        #expect(try fixture.filesOnDisk().blobs == [Hex.encode(SHA256.hash(bytes))])
        #expect(try await fixture.uploads.repair() == PartialUploads.Findings())
    }

    @Test("the reserve takes its room, gives it, and takes it again")
    func reserve() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("reserve")
        let reserve = DiskReserve(path: path)
        for _ in 0..<2 {
            reserve.fill()
            var status = stat()
            #expect(stat(path, &status) == 0 && Int(status.st_blocks) * 512 >= DiskReserve.bytes)
            #expect(reserve.isFilled)
            reserve.give()
            #expect(access(path, F_OK) != 0 && !reserve.isFilled)
        }
        // Of an earlier process.
        reserve.fill()
        let next = DiskReserve(path: path)
        next.fill()
        #expect(next.isFilled)
        let nowhere = DiskReserve(path: directory.file("none/reserve"))
        nowhere.fill()
        #expect(!nowhere.isFilled)
    }

    @Test("a disk with less free than is to be left takes no bytes, in whatever way they come, and deletions")
    func roomKept() async throws {
        let directory = try TemporaryDirectory()
        var (path, stored) = ("", "")
        do {
            let fixture = try await FilesFixture(in: directory)
            stored = try await fixture.stored(noise(100)).fileID
            path = try await fixture.begun(100_000)
            await fixture.database.close()
        }
        let fixture = try await FilesFixture(in: directory, freeBytesMin: 1 << 60)
        #expect(await fixture.upload(jpeg).status.code == 507)
        #expect(await fixture.create(["Upload-Length": "10"]).status.code == 507)
        #expect(await fixture.patch(path, at: 0, noise(100)).status.code == 507)
        #expect(await fixture.tus(.head, path).status.code == 404)
        #expect(await fixture.send(.delete, "/api/files/\(stored)").status == .noContent)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
        #expect(try fixture.partialFilesOnDisk().isEmpty)
    }

    @Test("with a Redis without room uploads are 507 and leave nothing, those in parts stay, and files are deleted")
    func fullRedis() async throws {
        let redis = try await RedisHistory()
        let fixture = try await FilesFixture(log: redis.log)
        let kept = try await fixture.stored(noise(100))
        let deleted = try await fixture.stored(noise(200))
        let bytes = noise(5000)
        let path = try await fixture.begun(bytes.count)
        #expect(await fixture.patch(path, at: 0, bytes.prefix(2000)).status == .noContent)
        try await redis.server.leaveRoom(0)

        #expect(await fixture.upload(jpeg).status.code == 507)
        #expect(await fixture.create(["Upload-Length": "10"]).status.code == 507)
        #expect(await fixture.patch(path, at: 2000, bytes.dropFirst(2000)).status.code == 507)
        #expect(await fixture.send(.delete, "/api/files/\(deleted.fileID)").status == .noContent)
        #expect(await fixture.send(.get, "/api/files/\(deleted.fileID)").status.code == 404)
        #expect(try fixture.filesOnDisk().blobs == [Hex.encode(SHA256.hash(noise(100)))])
        #expect(await fixture.send(.get, "/api/files/\(kept.fileID)").status == .ok)

        try await redis.server.leaveRoom(nil)
        // Its bytes were taken, and only that they are a file could not be stored.
        #expect(await fixture.offset(path) == "5000")
        #expect(try await fixture.file(path).status == .ok)
        #expect(try fixture.filesOnDisk().blobs.contains(Hex.encode(SHA256.hash(bytes))))
        await fixture.database.close()
        await redis.end()
    }
}
