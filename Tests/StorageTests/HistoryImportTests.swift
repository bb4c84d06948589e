import Glibc
import Storage
import TestSupport
import Testing

@Suite("Histories that begin with a file")
struct HistoryImportTests {
    private static let first = Migration(
        "first",
        sql: "CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY) STRICT; INSERT INTO thing VALUES ('a'), ('b');"
    )
    private static let second = Migration(
        "second",
        sql: "CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY) STRICT"
    )

    private let directory: TemporaryDirectory
    private let log = MemoryChangeLog()

    init() throws { directory = try TemporaryDirectory() }

    private var path: String { directory.file("source.db") }

    private func makeSource() async throws {
        await (try Database.open(path: path, migrations: [Self.first])).close()
    }

    private func run(_ migrations: [Migration] = [first], token: String = "t") async throws -> HistoryImport.Summary {
        let work = HistoryImport(path: path, migrations: migrations, log: log)
        return try await work.run(scratch: directory.file("scratch.db"), token: { _ in token })
    }

    private func things(_ migrations: [Migration] = [first]) async throws -> [String] {
        let copy = try await Database.open(path: directory.file("copy.db"), migrations: migrations, log: log)
        let things = try await copy.read { db in try db.rows("SELECT id FROM thing ORDER BY id") { $0.string(0) } }
        await copy.close()
        return things
    }

    @Test("a copy of the history has what the file had; once more finds it there")
    func imported() async throws {
        try await makeSource()
        let summary = try await run()
        #expect(summary.tables.map { "\($0.name) \($0.rows)" } == ["thing 2"])
        #expect(summary.isNew)
        #expect(try await things() == ["a", "b"])
        #expect(try await !run().isNew)
        #expect(log.publishes == 1)
    }

    @Test("what has a history already is left alone: another file's, or the same one's that has gone on")
    func refused() async throws {
        try await makeSource()
        _ = try await run()
        await #expect(throws: ImportRefusal.self) { _ = try await run(token: "another") }
        let copy = try await Database.open(path: directory.file("copy.db"), migrations: [Self.first], log: log)
        try await copy.write { db in try db.run("INSERT INTO thing VALUES ('c')") }
        await copy.close()
        await #expect(throws: ImportRefusal.self) { _ = try await run() }
        #expect(try await things() == ["a", "b", "c"])
    }

    @Test("an older schema is migrated in a copy, a newer one refused, and the file stays as it is")
    func schemas() async throws {
        try await makeSource()
        await #expect(throws: StorageError.self) { _ = try await run([]) }
        #expect(log.records.isEmpty)
        #expect(try await run([Self.first, Self.second]).isNew)
        #expect(try await things([Self.first, Self.second]) == ["a", "b"])
        // With the second step it would be refused.
        await (try Database.open(path: path, migrations: [Self.first])).close()
        #expect(!FilePreparation.exists(directory.file("scratch.db")))
    }

    @Test("a file that is owned, that is not there, or that is no database of ours is refused")
    func sources() async throws {
        await #expect(throws: ImportRefusal.self) { _ = try await run() }
        try await makeSource()
        let lock = try FileLock(protecting: path)
        await #expect(throws: StorageError.owned(path: path, owner: getpid(), advice: "Stop it first.")) {
            _ = try await run()
        }
        withExtendedLifetime(lock) {}
        try Connection(path: directory.file("strange.db")).execute("CREATE TABLE strange (id)")
        let strange = HistoryImport(path: directory.file("strange.db"), migrations: [Self.first], log: log)
        await #expect(throws: ImportRefusal.self) {
            _ = try await strange.run(scratch: directory.file("scratch.db"), token: { _ in "t" })
        }
        #expect(log.records.isEmpty)
    }

    @Test("a Redis that is away leaves nothing behind")
    func away() async throws {
        try await makeSource()
        log.isAway = true
        await #expect(throws: ChangeLogError.self) { _ = try await run() }
        log.isAway = false
        #expect(try await run().isNew)
    }
}
