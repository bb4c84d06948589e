import Storage
import TestSupport
import Testing

@testable import FilesService

@Suite("The database and the directory of the blobs belong together")
struct StoreIdentityTests {
    private func index(_ fixture: FilesFixture, _ name: String) async throws -> SQLiteFileIndex {
        let path = fixture.directory.file(name)
        return SQLiteFileIndex(try await StoreEngine.open(path, migrations: SQLiteFileIndex.migrations))
    }

    private func mismatch(_ index: SQLiteFileIndex, _ blobs: BlobStore) -> StoreIdentity.Mismatch {
        StoreIdentity.Mismatch(database: index.database.path, directory: blobs.directory)
    }

    @Test("both keep the id of the first start")
    func first() async throws {
        let fixture = try await FilesFixture()
        let index = SQLiteFileIndex(fixture.database)
        try await StoreIdentity.check(index, fixture.store.blobs)
        let id = try #require(try await index.storeID())
        #expect(try await fixture.store.blobs.storeID() == id && id.utf8.count == 22)
        _ = try await fixture.stored(jpeg)
        try await StoreIdentity.check(index, fixture.store.blobs)
        #expect(try await index.storeID() == id)
    }

    @Test("blobs, or an unfinished upload's bytes, are not given to a new database", arguments: [true, false])
    func otherDatabase(hasBlobs: Bool) async throws {
        let fixture = try await FilesFixture()
        try await StoreIdentity.check(SQLiteFileIndex(fixture.database), fixture.store.blobs)
        if hasBlobs { _ = try await fixture.stored(jpeg) } else { _ = try await fixture.begun(10) }
        let other = try await index(fixture, "other.sqlite")
        await #expect(throws: mismatch(other, fixture.store.blobs)) {
            try await StoreIdentity.check(other, fixture.store.blobs)
        }
        #expect(try await other.storeID() == nil)
    }

    @Test("records are not given to an empty directory, such as one whose volume is missing")
    func otherDirectory() async throws {
        let fixture = try await FilesFixture()
        let index = SQLiteFileIndex(fixture.database)
        try await StoreIdentity.check(index, fixture.store.blobs)
        _ = try await fixture.begun(10)
        let other = try BlobStore(directory: fixture.directory.file("other"), threads: 1)
        await #expect(throws: mismatch(index, other)) { try await StoreIdentity.check(index, other) }
        #expect(try await other.storeID() == nil)
    }

    @Test("two stores with files are not mixed, two empty ones are one store then")
    func two() async throws {
        let (first, second) = (try await FilesFixture(), try await FilesFixture())
        let (index, blobs) = (SQLiteFileIndex(first.database), second.store.blobs)
        try await StoreIdentity.check(index, first.store.blobs)
        try await StoreIdentity.check(SQLiteFileIndex(second.database), blobs)
        try await StoreIdentity.check(index, blobs)
        #expect(try await blobs.storeID() == index.storeID())
        try await blobs.setStoreID("another")
        for fixture in [first, second] { _ = try await fixture.stored(jpeg) }
        await #expect(throws: mismatch(index, blobs)) { try await StoreIdentity.check(index, blobs) }
    }

    @Test("a store from before there were ids gets one")
    func older() async throws {
        let fixture = try await FilesFixture()
        let index = SQLiteFileIndex(fixture.database)
        _ = try await fixture.stored(jpeg)
        try await StoreIdentity.check(index, fixture.store.blobs)
        #expect(try await fixture.store.blobs.storeID() == index.storeID())
    }
}
