import Core
import Storage
import TestSupport
import Testing

@testable import PresenceService

@Suite("Status store")
struct StatusStoreTests {
    @Test("what was saved is there after a reopening; Online needs no row")
    func reopening() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("presence.sqlite")
        let file = try await PresenceSchema.open(path: path)
        let store = SQLiteStatusStore(file)
        try await store.save(.busy, of: "a1")
        try await store.save(.away, of: "a2")
        try await store.save(.away, of: "a1")
        try await store.save(.online, of: "a2")
        await file.close()
        let again = try await PresenceSchema.open(path: path)
        #expect(try await SQLiteStatusStore(again).statuses() == ["a1": .away])
        try await SQLiteStatusStore(again).ping()
        await again.close()
    }

    @Test("the latest time counts, whatever the order of writing")
    func lastSeen() async throws {
        let directory = try TemporaryDirectory()
        let file = try await PresenceSchema.open(path: directory.file("presence.sqlite"))
        let store = SQLiteStatusStore(file)
        #expect(try await store.lastSeen(of: "u1") == nil)
        try await store.record(lastSeen: ["u1": Timestamp(milliseconds: 2000), "u2": Timestamp(milliseconds: 5)])
        try await store.record(lastSeen: ["u1": Timestamp(milliseconds: 1000)])
        #expect(try await store.lastSeen(of: "u1") == Timestamp(milliseconds: 2000))
        #expect(try await store.lastSeen(of: "u2") == Timestamp(milliseconds: 5))
        await file.close()
    }

    @Test("a file has one owner")
    func owner() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("presence.sqlite")
        func open() async throws -> Database {
            try await Database.open(
                path: path,
                migrations: PresenceSchema.migrations,
                ownership: PresenceSchema.ownership
            )
        }
        let file = try await open()
        await #expect(throws: StorageError.self) { try await open() }
        await file.close()
        try await open().close()
    }

    @Test("a closed store says so")
    func closed() async throws {
        let directory = try TemporaryDirectory()
        let file = try await PresenceSchema.open(path: directory.file("presence.sqlite"))
        let store = SQLiteStatusStore(file)
        await file.close()
        await #expect(throws: (any Error).self) { try await store.ping() }
    }
}

@Suite("Order of status changes")
struct StatusOrderTests {
    @Test("a change that a later one of the same user overtook is not shown")
    func overtaken() {
        var order = StatusOrder()
        let first = order.begin()
        let second = order.begin()
        let other = order.begin()
        let isSecondNewest = order.isNewest(second, of: "a1")
        let isFirstNewest = order.isNewest(first, of: "a1")
        let isOtherNewest = order.isNewest(other, of: "a2")
        #expect(isSecondNewest)
        #expect(!isFirstNewest)
        #expect(isOtherNewest)
        for _ in 0..<3 { order.end() }
        let last = order.begin()
        let isLastNewest = order.isNewest(last, of: "a1")
        #expect(isLastNewest)
    }
}
