import Core
import Glibc
import Storage
import TestSupport
import Testing

@Suite("Database")
struct DatabaseTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let migrations = [Migration("t", sql: "CREATE TABLE t (x)")]
    private struct Stop: Error {}

    private func open(
        ownership: Database.Ownership = .shared,
        waitingMax: Int = Database.waitingMaxDefault
    ) async throws -> Database {
        try await Database.open(
            path: directory.file("test.db"),
            migrations: Self.migrations,
            ownership: ownership,
            waitingMax: waitingMax
        )
    }

    @Test("writes are there after a close and another open")
    func persists() async throws {
        let first = try await open()
        try await first.write { db in
            try db.run("INSERT INTO t VALUES (?)", 1)
            try db.run("INSERT INTO t VALUES (?)", 2)
        }
        await first.close()
        let second = try await open()
        #expect(try await second.read { db in try db.rows("SELECT x FROM t") { $0.int(0) } } == [1, 2])
    }

    @Test("a throw rolls the whole write back")
    func rollsBack() async throws {
        let database = try await open()
        await #expect(throws: Stop.self) {
            try await database.write { db in
                try db.run("INSERT INTO t VALUES (1)")
                throw Stop()
            }
        }
        #expect(try await database.read { db in try db.first("SELECT count(*) FROM t") { $0.int(0) } } == 0)
    }

    @Test("a read that writes fails, and writes nothing")
    func readMayNotWrite() async throws {
        let database = try await open()
        let error = await #expect(throws: SQLiteError.self) {
            try await database.read { db in try db.run("INSERT INTO t VALUES (1)") }
        }
        #expect(error?.isMisuse == true)
        #expect(try await database.read { db in try db.first("SELECT count(*) FROM t") { $0.int(0) } } == 0)
    }

    @Test("concurrent writes are each whole")
    func concurrentWrites() async throws {
        let database = try await open()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    try await database.write { db in
                        let count = try db.first("SELECT count(*) FROM t") { $0.int(0) } ?? -1
                        try db.run("INSERT INTO t VALUES (?)", count)
                    }
                }
            }
            try await group.waitForAll()
        }
        let values = try await database.read { db in try db.rows("SELECT x FROM t ORDER BY x") { $0.int(0) } }
        #expect(values == Array(0..<50))
    }

    @Test("two connections may share a file; a second owner is told who has it and what to do")
    func ownership() async throws {
        let shared = try await open()
        let alsoShared = try await open()
        try await shared.write { try $0.run("INSERT INTO t VALUES (1)") }
        #expect(try await alsoShared.read { db in try db.first("SELECT count(*) FROM t") { $0.int(0) } } == 1)

        let owner = try await open(ownership: .exclusiveOwner(advice: "Set STORE."))
        let error = await #expect(throws: StorageError.self) {
            try await open(ownership: .exclusiveOwner(advice: "Use Redis for several."))
        }
        let text = try #require(error).description
        #expect(text.contains("in use by process") && text.hasSuffix("Use Redis for several."))
        await owner.close()
        let next = try await open(ownership: .exclusiveOwner(advice: ""))
        await next.close()
    }

    @Test("databases in memory have one owner each, and no lock file")
    func ownershipInMemory() async throws {
        for _ in 0..<2 {
            let database = try await Database.open(path: ":memory:", ownership: .exclusiveOwner(advice: ""))
            #expect(try await database.read { db in try db.first("SELECT 1") { $0.int(0) } } == 1)
            #expect(access(":memory:.lock", F_OK) == -1)
            await database.close()
        }
    }

    @Test("after close every call is refused, 503, and a second close is harmless")
    func closed() async throws {
        let database = try await open()
        await database.close()
        await database.close()
        let error = await #expect(throws: StorageError.self) { try await database.read { _ in } }
        #expect(error == .closed(path: database.path))
        #expect(error?.problem.status == 503)
    }

    @Test("more calls than may wait are refused, 503")
    func overloaded() async throws {
        let database = try await open(waitingMax: 0)
        let error = await #expect(throws: StorageError.self) { try await database.write { _ in } }
        #expect(error == .overloaded(waitingMax: 0))
        #expect(error?.problem.status == 503)
        let one = try await open(waitingMax: 1)
        for _ in 0..<3 { try await one.write { _ in } }
    }

    @Test("withConnection runs outside a transaction")
    func withoutTransaction() async throws {
        let database = try await open()
        let inTransaction = try await database.withConnection { db in
            try db.execute("VACUUM")
            return db.isInTransaction
        }
        #expect(!inTransaction)
    }
}
