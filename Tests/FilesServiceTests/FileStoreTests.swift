import Contracts
import Core
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

@testable import FilesService

@Suite("File store: crashes and damage")
struct FileStoreTests {
    @Test("start removes interrupted uploads and old blobs without a record, and keeps the rest")
    func repair() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        let root = fixture.directory.file("store")
        let orphan = String(repeating: "ab", count: 32)
        let fresh = String(repeating: "cd", count: 32)
        write("\(root)/temporary/left-behind")
        write("\(root)/blobs/ab/\(orphan)", modifiedAt: Timestamp.now().advanced(byMilliseconds: -60_000))
        write("\(root)/blobs/cd/\(fresh)", modifiedAt: Timestamp.now().advanced(byMilliseconds: 60_000))
        let findings = try await fixture.store.repair()
        #expect(findings == FileStore.Findings(temporaryFilesRemoved: 1, blobsRemoved: 1))
        let disk = try fixture.filesOnDisk()
        #expect(disk.temporary.isEmpty)
        #expect(Set(disk.blobs) == [document.sha256, fresh])
        #expect(await fixture.send(.head, document.url).status == .ok)
    }

    @Test("a record without its blob is found at start and answers 500, not wrong bytes")
    func missingBlob() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        #expect(unlink(fixture.path(ofBlob: document.sha256)) == 0)
        #expect(try await fixture.store.repair().missing == [document.sha256])
        let response = await fixture.send(.get, document.url)
        #expect(response.status == 500)
        #expect(try await fixture.problemCode(response) == "internal_error")
        // The same content sent again mends it.
        _ = try await fixture.stored(jpeg)
        #expect(try await fixture.bytes(of: await fixture.send(.get, document.url)) == jpeg)
    }

    @Test("a blob that was cut short is not served")
    func truncatedBlob() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        #expect(truncate(fixture.path(ofBlob: document.sha256), 10) == 0)
        #expect(await fixture.send(.get, document.url).status == 500)
    }

    @Test("files are there after the service has started again; two services do not share a directory")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        var url = ""
        do {
            let fixture = try await FilesFixture(in: directory)
            url = try await fixture.stored(jpeg).url
            #expect(throws: StorageError.self) { _ = try BlobStore(directory: directory.file("store"), threads: 1) }
            await fixture.database.close()
        }
        let fixture = try await FilesFixture(in: directory)
        _ = try await fixture.store.repair()
        #expect(try await fixture.bytes(of: await fixture.send(.get, url)) == jpeg)
    }

    @Test("migrates from every earlier version; what was granted before sources is granted for good")
    func migrations() async throws {
        for version in 1...SQLiteFileIndex.migrations.count {
            let directory = try TemporaryDirectory()
            let earlier = try await StoreEngine.open(
                directory.file("files.sqlite"),
                migrations: Array(SQLiteFileIndex.migrations.prefix(version))
            )
            let id = FileRecord.makeID()
            try await earlier.write { db in
                try db.run(
                    """
                    INSERT INTO file (file_id, sha256, size, file_name, content_type, uploader_id, created_at)
                    VALUES (?, 'ab', 1, 'a', 'text/plain', 'anna', 1)
                    """,
                    id
                )
                let columns = version == 1 ? "file_id, user_id" : "file_id, user_id, source"
                try db.run(
                    "INSERT INTO file_grant (\(columns)) VALUES (?, 'ben'\(version == 1 ? "" : ", ''"))",
                    id
                )
            }
            await earlier.close()
            let index = try await FilesFixture(in: directory).store.index
            #expect(try await index.lookUp(id, grantedTo: "ben")?.isGranted == true)
            #expect(try await index.lookUp(id, grantedTo: "carl")?.isGranted == false)
            try await index.revoke(id, source: "a message")
            #expect(try await index.lookUp(id, grantedTo: "ben")?.isGranted == true)
            // Grants go with their file.
            #expect(try await index.remove(id) == true)
            #expect(try await index.grant(id, to: ["ben"], source: "") == false)
        }
    }

    @Test("a record that cannot be stored takes its blob with it")
    func indexFails() async throws {
        let fixture = try await FilesFixture()
        _ = try await fixture.database.write { db in
            try db.run("CREATE TRIGGER refuse BEFORE INSERT ON file BEGIN SELECT RAISE(ABORT, 'no'); END")
        }
        #expect(await fixture.upload(jpeg).status.code >= 500)
        let disk = try fixture.filesOnDisk()
        #expect(disk.blobs.isEmpty && disk.temporary.isEmpty)
    }

    @Test("a writer that is dropped removes its file")
    func droppedWriter() async throws {
        let fixture = try await FilesFixture()
        do {
            let writer = fixture.store.blobs.makeWriter()
            try await writer.append([1, 2, 3])
            #expect(try fixture.filesOnDisk().temporary.count == 1)
        }
        #expect(try fixture.filesOnDisk().temporary.isEmpty)
    }

    @Test("blobs and directories are the owner's only")
    func modes() async throws {
        let fixture = try await FilesFixture()
        let document = try await fixture.stored(jpeg)
        var status = stat()
        #expect(stat(fixture.path(ofBlob: document.sha256), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(stat(fixture.directory.file("store/blobs"), &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
    }

    @Test("readiness needs a directory that can be written and an index that answers")
    func readiness() async throws {
        let fixture = try await FilesFixture()
        try await fixture.store.blobs.checkWritable()
        try await fixture.store.index.ping()
        #expect(rmdir(fixture.directory.file("store/temporary")) == 0)
        await #expect(throws: FilesError.self) { try await fixture.store.blobs.checkWritable() }
        #expect(await fixture.upload(jpeg).status == 500)
        await fixture.database.close()
        await #expect(throws: StorageError.self) { try await fixture.store.index.ping() }
    }

    @Test("a full disk is 507")
    func full() {
        #expect(throws: FilesError.storageFull) {
            try SystemCall.check("write", "x") {
                errno = ENOSPC
                return -1
            }
        }
        #expect(FilesError.storageFull.problem.status == 507)
        #expect(FilesError.storageFull.problem.code == .storageFull)
    }
}
