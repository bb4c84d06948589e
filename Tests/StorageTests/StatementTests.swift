import Storage
import TestSupport
import Testing

@Suite("Statement and Row")
struct StatementTests {
    private let db: Connection

    init() throws {
        db = try Connection(path: ":memory:")
        try db.execute("CREATE TABLE t (x)")
    }

    private func roundTrip<Value>(_ value: (any Bindable)?, _ read: (Row) -> Value) throws -> Value {
        try db.run("INSERT INTO t VALUES (?)", value)
        return try #require(try db.first("SELECT x FROM t ORDER BY rowid DESC LIMIT 1", read: read))
    }

    @Test("integers round-trip", arguments: [0, 1, -1, Int64.max, .min, 1 << 53])
    func integers(value: Int64) throws { #expect(try roundTrip(value) { $0.int64(0) } == value) }

    @Test("numbers round-trip", arguments: [0, -0.5, 1e300, .infinity, .leastNonzeroMagnitude])
    func doubles(value: Double) throws { #expect(try roundTrip(value) { $0.double(0) } == value) }

    @Test("text round-trips", arguments: ["", "a", "张三", "nul\u{0}within", "🧪 \"'; DROP TABLE t", "é"])
    func texts(value: String) throws {
        #expect(try roundTrip(value) { $0.string(0) } == value)
        #expect(try roundTrip(value) { $0.isNull(0) } == false)
        #expect(try roundTrip(value) { Array($0.text(0)) } == Array(value.utf8))
    }

    @Test("bytes round-trip", arguments: [0, 1, 3, 255, 256, 100_000])
    func blobs(count: Int) throws {
        let value = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try roundTrip(value) { $0.bytes(0) } == value)
        #expect(try roundTrip(value) { $0.isNull(0) } == false)
        #expect(try roundTrip(value) { Array($0.blob(0)) } == value)
    }

    @Test("a blob of 20 MB round-trips")
    func bigBlob() throws {
        var value = [UInt8](repeating: 0, count: 20_000_000)
        for i in stride(from: 0, to: value.count, by: 997) { value[i] = UInt8(truncatingIfNeeded: i / 997) }
        #expect(try roundTrip(value) { $0.bytes(0) } == value)
    }

    @Test("NULL is nil in the optional forms, 0 or empty in the others")
    func nulls() throws {
        #expect(try roundTrip(nil) { $0.isNull(0) })
        #expect(try roundTrip(nil) { $0.optionalInt64(0) } == nil)
        #expect(try roundTrip(nil) { $0.optionalString(0) } == nil)
        #expect(try roundTrip(nil) { $0.optionalBytes(0) } == nil)
        #expect(try roundTrip(nil) { $0.int(0) } == 0)
        #expect(try roundTrip(nil) { $0.string(0) }.isEmpty)
        #expect(try roundTrip(nil) { $0.bytes(0) }.isEmpty)
        let missing: String? = nil
        #expect(try roundTrip(missing) { $0.isNull(0) })
        #expect(try roundTrip("x") { $0.optionalString(0) } == "x")
        #expect(try roundTrip(5) { $0.optionalInt64(0) } == 5)
        #expect(try roundTrip(true) { $0.bool(0) })
    }

    @Test("raw buffers are bound without a copy, empty ones included", arguments: ["", "hello", "张三"])
    func rawBinding(text: String) throws {
        let insert = try db.prepare("INSERT INTO t VALUES (?)")
        let bytes = Array(text.utf8)
        try bytes.withUnsafeBytes { buffer in
            try insert.bind(text: buffer, at: 1)
            try insert.run()
            try insert.bind(blob: buffer, at: 1)
            try insert.run()
            insert.clearBindings()
        }
        try insert.bind(text: UnsafeRawBufferPointer(start: nil, count: 0), at: 1)
        try insert.run()
        let stored = try db.rows("SELECT typeof(x), x FROM t ORDER BY rowid") { ($0.string(0), $0.bytes(1)) }
        #expect(stored.map(\.0) == ["text", "blob", "text"])
        #expect(stored.map(\.1) == [bytes, bytes, []])
    }

    @Test("a statement is reset and used again, keeping its bindings until the next")
    func reuse() throws {
        let statement = try db.prepare("SELECT ?, ?")
        #expect(statement.parameterCount == 2)
        try statement.bind(["a", 1])
        for _ in 0..<2 {
            #expect(try statement.step())
            #expect(statement.isRunning)
            #expect(statement.row.count == 2)
            #expect(statement.row.string(0) == "a")
            #expect(try !statement.step())
            statement.reset()
            #expect(!statement.isRunning)
        }
    }

    @Test("a parameter that is not there is an error")
    func noSuchParameter() throws {
        let statement = try db.prepare("SELECT ?")
        let error = #expect(throws: SQLiteError.self) { try statement.bind("x", at: 2) }
        #expect(error?.code == 25)
    }

    @Test("after a failed step the statement can be used again")
    func failedStep() throws {
        try db.execute("CREATE TABLE u (x UNIQUE)")
        let insert = try db.prepare("INSERT INTO u VALUES (?)")
        try insert.bind(1, at: 1)
        try insert.run()
        #expect(throws: SQLiteError.self) { try insert.run() }
        try insert.bind(Int64(2), at: 1)
        try insert.run()
        #expect(try db.first("SELECT count(*) FROM u") { $0.int(0) } == 2)
    }
}
