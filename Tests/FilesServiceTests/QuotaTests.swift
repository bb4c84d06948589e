import Contracts
import Core
import HTTP
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import FilesService

@Suite("What a user may have, and how large a file of a type may be")
struct QuotaTests {
    private func bytes(_ count: Int, _ seed: UInt8 = 0) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0) &* 3 &+ seed }
    }

    @Test("a user has so many files and no more; deleting one makes room; others have their own")
    func count() async throws {
        let fixture = try await FilesFixture { $0.userFilesMax = 2 }
        let first = try await fixture.stored(jpeg)
        _ = try await fixture.stored(jpeg)
        let third = await fixture.upload(jpeg)
        #expect(third.status == 413)
        #expect(try await fixture.problemCode(third) == "quota_exceeded")
        #expect(try fixture.filesOnDisk().temporary.isEmpty)
        #expect(await fixture.upload(jpeg, as: FilesFixture.otherCustomer).status == .created)
        #expect(await fixture.send(.delete, "/api/files/\(first.fileID)").status == .noContent)
        #expect(await fixture.upload(jpeg).status == .created)
        #expect(await fixture.upload(jpeg).status == 413)
    }

    @Test("a user's files hold so many bytes, to the byte; the same content counts each time")
    func total() async throws {
        let fixture = try await FilesFixture { $0.userBytesMax = 1000 }
        _ = try await fixture.stored(bytes(400))
        let second = try await fixture.stored(bytes(400))
        let over = await fixture.upload(bytes(201, 1))
        #expect(over.status == 413)
        #expect(try await fixture.problemCode(over) == "quota_exceeded")
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.count == 1 && disk.temporary.isEmpty)
        #expect(await fixture.upload(bytes(200, 1)).status == .created)
        #expect(await fixture.upload([1]).status == 413)
        #expect(await fixture.send(.delete, "/api/files/\(second.fileID)").status == .noContent)
        #expect(await fixture.upload(bytes(400, 2)).status == .created)
    }

    @Test("is refused before the body is read when nothing is left, and while it is read when it becomes too much")
    func early() async throws {
        let fixture = try await FilesFixture { $0.userBytesMax = 100_000 }
        let head = Array("--b\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n".utf8)
        func send(_ pieces: [Result<[UInt8], Problem>]) async -> Response {
            await fixture.send(
                .post,
                "/api/files/upload",
                headers: ["Content-Type": "multipart/form-data; boundary=b"],
                body: RequestBody(ScriptedBody(pieces), announcedLength: nil)
            )
        }
        let read = Result<[UInt8], Problem>.failure(.badRequest("read on"))
        #expect(await send([.success(head), .success(bytes(100_001)), read]).status == 413)
        #expect(await send([.success(head), .success(bytes(100_000)), read]).status == 400)
        #expect(try fixture.filesOnDisk().temporary.isEmpty)
        _ = try await fixture.stored(bytes(100_000))
        let full = await send([read])
        #expect(full.status == 413)
        #expect(try await fixture.problemCode(full) == "quota_exceeded")
    }

    @Test("uploads at once do not get past the quota together, nor leave blobs of those refused")
    func race() async throws {
        let fixture = try await FilesFixture(perUserMax: 100, totalMax: 100) { $0.userBytesMax = 1000 }
        let statuses = await withTaskGroup(of: UInt16.self) { group in
            for seed in 0..<40 {
                group.addTask { UInt16(await fixture.upload(bytes(150, UInt8(seed))).status.code) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses.filter { $0 == 201 }.count == 6)
        #expect(statuses.filter { $0 == 413 }.count == 34)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.count == 6 && disk.temporary.isEmpty)
    }

    @Test("a file is as large as its type may be, by what it is and not by what it is called")
    func types() async throws {
        let fixture = try await FilesFixture {
            $0.imageBytesMax = 100
            $0.videoBytesMax = 200
            $0.voiceBytesMax = 300
        }
        let heads: [(head: [UInt8], max: Int)] = [
            (Array("GIF89a".utf8), 100), ([0, 0, 0, 0x18] + Array("ftypisom".utf8), 200),
            (Array("OggS\0OpusHead".utf8), 300),
        ]
        for (head, max) in heads {
            let file = head + [UInt8](repeating: 0, count: max - head.count)
            #expect(await fixture.upload(file, name: "a.txt", type: "text/plain").status == .created)
            let blobs = try fixture.filesOnDisk().blobs.count
            let over = await fixture.upload(file + [0], name: "a.txt", type: "text/plain")
            #expect(over.status == 413)
            #expect(try await fixture.problemCode(over) == "too_large")
            let disk = try fixture.filesOnDisk()
            #expect(disk.blobs.count == blobs && disk.temporary.isEmpty)
        }
        #expect(await fixture.upload(bytes(5000)).status == .created)
    }

    @Test("files from before there were quotas count")
    func migrated() async throws {
        let directory = try TemporaryDirectory()
        let earlier = try await StoreEngine.open(
            directory.file("files.sqlite"),
            migrations: Array(SQLiteFileIndex.migrations.prefix(2))
        )
        try await earlier.write { db in
            for (user, size) in [("anna", 400), ("anna", 500), ("ben", 1)] {
                try db.run(
                    "INSERT INTO file VALUES (?, 'ab', ?, 'a', 'text/plain', ?, 1)",
                    FileRecord.makeID(),
                    size,
                    user
                )
            }
        }
        await earlier.close()
        let index = try await FilesFixture(in: directory).store.index
        #expect(try await index.usage(of: "anna") == FileUsage(files: 2, bytes: 900))
        #expect(try await index.usage(of: "ben") == FileUsage(files: 1, bytes: 1))
        #expect(try await index.usage(of: "carl") == FileUsage(files: 0, bytes: 0))
    }
}
