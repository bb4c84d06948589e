import Storage
import TestSupport
import Testing

@Suite("Migrator")
struct MigratorTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let steps = [
        Migration("account", sql: "CREATE TABLE account (id TEXT PRIMARY KEY); INSERT INTO account VALUES ('first')"),
        Migration("account name", sql: "ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT '-'"),
        Migration("shout") { db in
            for id in try db.rows("SELECT id FROM account", read: { $0.string(0) }) {
                try db.run("UPDATE account SET name = ? WHERE id = ?", id.uppercased(), id)
            }
        },
    ]

    private func open() throws -> Connection { try Connection(path: directory.file("test.db")) }

    @Test("brings a file of every earlier version to the newest", arguments: 0...3)
    func fromEveryVersion(version: Int) throws {
        try #expect(
            Migrator(Array(Self.steps.prefix(version))).migrate(open())
                == ["account", "account name", "shout"].prefix(version).map { $0 }
        )
        let db = try open()
        #expect(
            try Migrator(Self.steps).migrate(db) == ["account", "account name", "shout"].dropFirst(version).map { $0 }
        )
        #expect(try db.first("SELECT name FROM account WHERE id = 'first'") { $0.string(0) } == "FIRST")
        #expect(try Migrator(Self.steps).migrate(db) == [])
        #expect(try db.rows("SELECT position FROM schema_migration") { $0.int(0) } == [1, 2, 3])
    }

    @Test("refuses a file from a newer version, naming the steps, and leaves it alone")
    func newerVersion() throws {
        let db = try open()
        try Migrator(Self.steps).migrate(db)
        let error = #expect(throws: StorageError.self) { try Migrator(Array(Self.steps.prefix(1))).migrate(db) }
        #expect(error == .newerVersion(path: db.path, unknownSteps: ["account name", "shout"]))
        #expect(error?.description.contains("newer version") == true)
        #expect(try db.first("SELECT count(*) FROM schema_migration") { $0.int(0) } == 3)
    }

    @Test("refuses a file whose steps are another program's")
    func differentHistory() throws {
        let db = try open()
        try Migrator([Migration("blob", sql: "CREATE TABLE blob (x)")]).migrate(db)
        #expect(
            throws: StorageError.differentHistory(path: db.path, position: 1, inFile: "blob", inProgram: "account")
        ) { try Migrator(Self.steps).migrate(db) }
    }

    @Test("a failing step is rolled back whole; the ones before it stay, and it is tried again")
    func failingStep() throws {
        let db = try open()
        let broken = Migration("account name", sql: "CREATE TABLE half (x); SELECT nothing FROM nowhere")
        #expect(throws: SQLiteError.self) { try Migrator([Self.steps[0], broken]).migrate(db) }
        #expect(try db.rows("SELECT name FROM sqlite_schema WHERE name = 'half'") { $0.string(0) } == [])
        #expect(try Migrator(Self.steps).migrate(db) == ["account name", "shout"])
    }
}
