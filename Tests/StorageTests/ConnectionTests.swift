import Core
import Glibc
import Storage
import TestSupport
import Testing

@Suite("Connection")
struct ConnectionTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ options: ConnectionOptions = ConnectionOptions()) throws -> Connection {
        try Connection(path: directory.file("test.db"), options: options)
    }

    @Test("opens with WAL, foreign keys and the given durability", arguments: [(true, Int64(2)), (false, 1)])
    func opensConfigured(isFull: Bool, expected: Int64) throws {
        let db = try open(ConnectionOptions(synchronous: isFull ? .full : .normal, checkpointPages: 77))
        #expect(try db.first("PRAGMA journal_mode") { $0.string(0) } == "wal")
        #expect(try db.pragma("foreign_keys") == 1)
        #expect(try db.pragma("synchronous") == expected)
        #expect(try db.pragma("wal_autocheckpoint") == 77)
    }

    @Test("makes missing directories, and files that only their owner may read")
    func privateFiles() throws {
        let path = directory.file("a/b/test.db")
        let db = try Connection(path: path)
        try db.execute("CREATE TABLE t (x)")
        for suffix in ["", "-wal", "-shm"] {
            var status = stat()
            #expect(stat(path + suffix, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600, "\(suffix)")
        }
    }

    @Test("a missing file is an error when it may not be made", arguments: [false, true])
    func missingFile(readOnly: Bool) throws {
        let error = #expect(throws: SQLiteError.self) {
            try open(ConnectionOptions(mode: readOnly ? .readOnly : .readWrite))
        }
        #expect(error?.code == 14)
        #expect(error?.message.contains("test.db") == true)
    }

    @Test("a read-only connection reads and refuses to write")
    func readOnly() throws {
        let writer = try open()
        try writer.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        let reader = try open(ConnectionOptions(mode: .readOnly))
        #expect(try reader.first("SELECT x FROM t") { $0.int(0) } == 1)
        let error = #expect(throws: SQLiteError.self) { try reader.run("INSERT INTO t VALUES (2)") }
        #expect(error?.isReadOnly == true)
    }

    @Test("a file that is no database is refused as corrupt")
    func notADatabase() throws {
        let path = directory.file("test.db")
        let file = try #require(fopen(path, "w"))
        fputs(String(repeating: "this is no database. ", count: 500), file)
        fclose(file)
        let error = #expect(throws: SQLiteError.self) { try Connection(path: path) }
        #expect(error?.isCorrupt == true)
    }

    @Test("run reports the changed rows; changes and lastInsertRowID follow")
    func changes() throws {
        let db = try open()
        try db.execute("CREATE TABLE t (x)")
        #expect(try db.run("INSERT INTO t VALUES (?), (?), (?)", 1, 2, 3) == 3)
        #expect(db.lastInsertRowID == 3)
        #expect(try db.run("UPDATE t SET x = 9 WHERE x > ?", 1) == 2)
        #expect(db.changes == 2)
        #expect(try db.run("UPDATE t SET x = 9 WHERE x > ?", 100) == 0)
        #expect(try db.run("INSERT INTO t VALUES (1) RETURNING x") == 1)
    }

    @Test("one statement may run within its own loop, and more texts than the cache holds work")
    func statementCache() throws {
        let db = try open(ConnectionOptions(cachedStatementsMax: 2))
        try db.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
        let sums = try db.rows("SELECT x FROM t") { row in
            let outer = row.int(0)
            return try db.rows("SELECT x FROM t") { $0.int(0) * outer }.reduce(0, +)
        }
        #expect(sums == [6, 12, 18])
        for i in 0..<10 { #expect(try db.first("SELECT \(i) + ?", i) { $0.int(0) } == 2 * i) }
    }

    @Test("values and parameters must be equally many", arguments: [[], [1, 2]])
    func wrongNumberOfValues(values: [Int]) throws {
        let db = try open()
        let statement = try db.prepare("SELECT ?")
        let error = #expect(throws: SQLiteError.self) { try statement.bind(values) }
        #expect(error?.isMisuse == true)
    }

    @Test("refuses two statements in one text, and none", arguments: ["SELECT 1; SELECT 2", "", "-- nothing"])
    func oneStatement(sql: String) throws {
        let db = try open()
        let error = #expect(throws: SQLiteError.self) { try db.prepare(sql) }
        #expect(error?.isMisuse == true)
    }

    @Test("errors carry primary and extended code, text and statement")
    func errorCodes() throws {
        let db = try open()
        try db.execute(
            """
            CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
            CREATE TABLE b (a INTEGER REFERENCES a (id), n INTEGER CHECK (n > 0));
            INSERT INTO a VALUES (1, 'x');
            """
        )
        func failure(_ sql: String) throws -> SQLiteError {
            try #require(throws: SQLiteError.self) { try db.run(sql) }
        }
        let unique = try failure("INSERT INTO a VALUES (2, 'x')")
        #expect(unique.code == 19 && unique.extendedCode == 2067)
        #expect(unique.isConstraint && unique.isUniqueViolation && !unique.isForeignKeyViolation)
        #expect(unique.message.contains("a.name"))
        #expect(unique.sql == "INSERT INTO a VALUES (2, 'x')")
        #expect(unique.problem.status == 500 && unique.problem.detail.isEmpty)
        #expect(try failure("INSERT INTO a VALUES (1, 'y')").isUniqueViolation)
        #expect(try failure("INSERT INTO b VALUES (7, 1)").isForeignKeyViolation)
        let check = try failure("INSERT INTO b VALUES (1, 0)")
        #expect(check.isConstraint && !check.isUniqueViolation && !check.isForeignKeyViolation)
        let syntax = try failure("SELEC 1")
        #expect(syntax.code == 1 && syntax.message.contains("SELEC"))
        // The connection works on.
        #expect(try db.first("SELECT count(*) FROM a") { $0.int(0) } == 1)
    }

    @Test("a full database is isFull, 507, and keeps what it had")
    func full() throws {
        let db = try open()
        try db.execute("CREATE TABLE t (x)")
        try db.setPragma("max_page_count", 20)
        let error = #expect(throws: SQLiteError.self) {
            try db.transaction {
                for _ in 0..<100 { try db.run("INSERT INTO t VALUES (?)", [UInt8](repeating: 7, count: 4000)) }
            }
        }
        #expect(error?.isFull == true)
        #expect(error?.problem.status == 507 && error?.problem.code == .storageFull)
        #expect(!db.isInTransaction)
        #expect(try db.first("SELECT count(*) FROM t") { $0.int(0) } == 0)
        try db.run("INSERT INTO t VALUES (1)")
        #expect(try db.first("SELECT count(*) FROM t") { $0.int(0) } == 1)
    }

    @Test("a second writer is busy after the time-out, 503")
    func busy() throws {
        let options = ConnectionOptions(busyTimeoutMilliseconds: 1)
        let first = try open(options)
        let second = try open(options)
        try first.execute("CREATE TABLE t (x)")
        try first.transaction {
            let error = #expect(throws: SQLiteError.self) { try second.transaction {} }
            #expect(error?.isBusy == true)
            #expect(error?.problem.status == 503)
        }
        try second.transaction {}
    }

    @Test("a transaction rolls back on throw, and does not nest")
    func transactions() throws {
        struct Stop: Error {}
        let db = try open()
        try db.execute("CREATE TABLE t (x)")
        #expect(throws: Stop.self) {
            try db.transaction {
                try db.run("INSERT INTO t VALUES (1)")
                #expect(db.hasWritten)
                throw Stop()
            }
        }
        #expect(!db.isInTransaction)
        let error = #expect(throws: SQLiteError.self) {
            try db.transaction { try db.transaction {} }
        }
        #expect(error?.isMisuse == true)
        #expect(try db.first("SELECT count(*) FROM t") { $0.int(0) } == 0)
        #expect(try db.transaction { try db.run("INSERT INTO t VALUES (1)") } == 1)
    }

    @Test("a closed connection refuses everything, and a statement outlives it harmlessly")
    func closed() throws {
        let db = try open()
        let statement = try db.prepare("SELECT 1")
        db.close()
        db.close()
        #expect(db.isClosed)
        #expect(throws: SQLiteError.self) { try db.run("SELECT 1") }
        #expect(throws: SQLiteError.self) { try db.execute("SELECT 1") }
        #expect(try statement.step())
        #expect(statement.row.int(0) == 1)
    }

    @Test("a checkpoint moves the log into the file, and truncates it when asked")
    func checkpoint() throws {
        let db = try open(ConnectionOptions(checkpointPages: 0))
        try db.execute("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        let passive = try db.checkpoint()
        #expect(!passive.wasBlocked && passive.logPages > 0 && passive.checkpointedPages == passive.logPages)
        #expect(try db.checkpoint(.truncate).logPages == 0)
        var status = stat()
        #expect(stat(directory.file("test.db-wal"), &status) == 0)
        #expect(status.st_size == 0)
    }

    @Test("tells what each prepared statement has cost, and how it would be run")
    func statistics() throws {
        let db = try open()
        try db.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y)")
        let insert = try db.prepare("INSERT INTO t (y) VALUES (?)")
        for value in 1...20 {
            try insert.bind(value, at: 1)
            try insert.run()
        }
        let (scan, search) = ("SELECT sum(y) FROM t", "SELECT y FROM t WHERE x = ?")
        #expect(try db.first(scan) { $0.int(0) } == 210)
        #expect(try db.first(search, 7) { $0.int(0) } == 7)
        let statistics = Dictionary(uniqueKeysWithValues: try db.statistics().map { ($0.sql, $0) })
        #expect(statistics[insert.sql]?.runs == 20)
        #expect(statistics[search]?.runs == 1)
        let steps = try #require(statistics[scan]?.steps)
        #expect(steps > 20)
        #expect(try #require(statistics[search]?.steps) < steps)
        #expect(try db.queryPlan(scan) == ["SCAN t"])
        #expect(try db.queryPlan(search) == ["SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"])
        db.close()
        #expect(throws: SQLiteError.self) { try db.statistics() }
    }
}
