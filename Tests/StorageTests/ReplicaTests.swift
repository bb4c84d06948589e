import Core
import Dispatch
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Replicated databases")
struct ReplicaTests {
    private let directory: TemporaryDirectory
    private let log = MemoryChangeLog()

    init() throws { directory = try TemporaryDirectory() }

    /// All that the services' schemas use: a key of several columns, AUTOINCREMENT, a trigger, a cascade, blobs.
    private static let migrations = [
        Migration(
            "first",
            sql: """
                CREATE TABLE account (id TEXT NOT NULL PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0)) STRICT;
                CREATE TABLE note (
                    account_id TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE, number INTEGER NOT NULL,
                    bytes BLOB NOT NULL, PRIMARY KEY (account_id, number)
                ) STRICT, WITHOUT ROWID;
                CREATE TABLE event (number INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT;
                CREATE TABLE total (id INTEGER PRIMARY KEY, accounts INTEGER NOT NULL) STRICT;
                INSERT INTO total VALUES (1, 0);
                CREATE TRIGGER added AFTER INSERT ON account BEGIN UPDATE total SET accounts = accounts + 1; END;
                CREATE TRIGGER removed AFTER DELETE ON account BEGIN UPDATE total SET accounts = accounts - 1; END;
                """
        )
    ]

    private func copy(
        _ name: String,
        _ migrations: [Migration] = migrations,
        of log: MemoryChangeLog? = nil
    ) async throws -> Database {
        try await Database.open(path: directory.file(name), migrations: migrations, log: log ?? self.log)
    }

    private func amount(_ id: String, in database: Database) async throws -> Int? {
        try await database.read { db in try db.first("SELECT amount FROM account WHERE id = ?", id) { $0.int(0) } }
    }

    /// Everything that a copy holds, as text.
    private func contents(_ database: Database) async throws -> [String] {
        try await database.read { db in
            try db.rows(
                "SELECT 'a', id, amount FROM account UNION ALL SELECT 't', id, accounts FROM total ORDER BY 1, 2"
            ) {
                "\($0.string(0)) \($0.string(1)) \($0.int(2))"
            }
                + db.rows("SELECT account_id, number, hex(bytes) FROM note ORDER BY 1, 2") {
                    "\($0.string(0)) \($0.int(1)) \($0.string(2))"
                } + db.rows("SELECT number, text FROM event ORDER BY 1") { "\($0.int(0)) \($0.string(1))" }
        }
    }

    @Test("what one copy has written another one reads, triggers, cascades and numbers included")
    func shared() async throws {
        let first = try await copy("1")
        let second = try await copy("2")
        try await first.write { db in
            try db.run("INSERT INTO account VALUES ('a', 5), ('b', 6)")
            try db.run("INSERT INTO note VALUES ('a', 1, x'00ff'), ('b', 1, x'01')")
            try db.run("INSERT INTO event (text) VALUES ('made')")
        }
        #expect(try await contents(second) == contents(first))
        try await second.write { db in
            try db.run("DELETE FROM account WHERE id = 'a'")
            try db.run("DELETE FROM event")
            try db.run("INSERT INTO event (text) VALUES ('gone')")
        }
        #expect(try await contents(first) == ["a b 6", "t 1 1", "b 1 01", "2 gone"])
        #expect(try await contents(second) == contents(first))
        // Triggers and foreign keys are in force again behind the application of changes.
        try await first.write { db in try db.run("INSERT INTO account VALUES ('c', 0)") }
        await #expect(throws: SQLiteError.self) {
            try await first.write { db in try db.run("INSERT INTO note VALUES ('nobody', 1, x'')") }
        }
        #expect(try await contents(second) == ["a b 6", "a c 0", "t 1 2", "b 1 01", "2 gone"])
    }

    @Test("a transaction that was decided on an old state runs again; a refusal of an old state is no refusal")
    func runsAgain() async throws {
        let first = try await copy("1")
        let second = try await copy("2")
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 1)") }
        // The second copy has not seen it: updates nothing, inserts what is there, looks for what is not.
        let changed = try await second.write { db in try db.run("UPDATE account SET amount = amount + 10") }
        #expect(changed == 1)
        try await first.write { db in try db.run("DELETE FROM account WHERE id = 'a'") }
        try await second.write { db in try db.run("INSERT INTO account VALUES ('a', 3)") }
        #expect(try await amount("a", in: first) == 3)
        await #expect(throws: SQLiteError.self) {
            try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 4)") }
        }
        struct Poor: Error {}
        try await second.write { db in try db.run("UPDATE account SET amount = 100") }
        try await first.write { db in
            guard try db.first("SELECT amount FROM account", read: { $0.int(0) }) == 100 else { throw Poor() }
        }
        await #expect(throws: Poor.self) { try await first.write { _ in throw Poor() } }
    }

    @Test("a step of unknown outcome is found out: made once, or not at all", arguments: [true, false])
    func unknownOutcome(isMade: Bool) async throws {
        let first = try await copy("1")
        let second = try await copy("2")
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        let isFirst = Mutex(true)
        log.decide { record in
            guard record.kind == .changes,
                isFirst.withLock({
                    let was = $0; $0 = false; return was
                })
            else { return .done }
            return isMade ? .answerLost : .delayed
        }
        try await first.write { db in try db.run("UPDATE account SET amount = amount + 1") }
        log.deliverDelayed()
        #expect(try await amount("a", in: first) == 1)
        #expect(try await amount("a", in: second) == 1)
        #expect(log.records.filter { $0.kind == .fence }.count == (isMade ? 0 : 1))
    }

    @Test("when nothing is known in the end, that is told; the step is whole or not there")
    func staysUnknown() async throws {
        let first = try await copy("1")
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        log.decide { _ in .delayed }
        let error = await #expect(throws: ChangeLogError.self) {
            try await first.write { db in try db.run("UPDATE account SET amount = 7") }
        }
        #expect(error == .outcomeUnknown("late"))
        log.decide { _ in .done }
        #expect(try await amount("a", in: first) == 0)
        log.deliverDelayed()
        #expect(try await amount("a", in: first) == 7)
    }

    @Test("reads that wait ask the log once for all, and each has what was there when it was asked for")
    func sharedReads() async throws {
        let first = try await copy("1")
        let second = try await copy("2")
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        #expect(try await amount("a", in: second) == 0)
        let isAsked = Atomic(false)
        let mayAnswer = DispatchSemaphore(value: 0)
        log.onRead {
            isAsked.store(true, ordering: .relaxed)
            mayAnswer.wait()
            mayAnswer.signal()
        }
        async let early = amount("a", in: second)
        #expect(await eventually { isAsked.load(ordering: .relaxed) })
        // This step is not in the answer that the first read waits for.
        try await first.write { db in try db.run("UPDATE account SET amount = 1") }
        let before = log.reads
        let asking = Atomic(0)
        let ask: @Sendable () async throws -> Int? = {
            asking.add(1, ordering: .relaxed)
            return try await amount("a", in: second)
        }
        let late = (0..<100).map { _ in Task { try await ask() } }
        #expect(await eventually { asking.load(ordering: .relaxed) == late.count })
        mayAnswer.signal()
        #expect(try await early == 0)
        for task in late { #expect(try await task.value == 1) }
        #expect(log.reads - before < late.count / 2)
    }

    @Test("while the log is away nothing is read or written, and nothing of it is left")
    func away() async throws {
        let first = try await copy("1")
        log.isAway = true
        await #expect(throws: ChangeLogError.unavailable("away")) {
            try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        }
        await #expect(throws: ChangeLogError.unavailable("away")) { _ = try await amount("a", in: first) }
        log.isAway = false
        #expect(try await amount("a", in: first) == nil)
    }

    @Test("a copy that starts has everything, from the image and the steps behind it")
    func starts() async throws {
        let first = try await copy("1")
        let big = [UInt8](repeating: 7, count: Int(Database.uncompactedBytesMax / 8))
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        for number in 0..<20 {
            try await first.write { db in try db.run("INSERT INTO note VALUES ('a', ?, ?)", number, big) }
        }
        #expect((2...4).contains(log.publishes), "one for the schema, then each time enough has gathered")
        #expect(log.records.contains { $0.kind == .compacted })
        let second = try await copy("2")
        #expect(try await contents(second) == contents(first))
        try await second.write { db in try db.run("DELETE FROM note WHERE number < 19") }
        #expect(try await contents(second) == contents(first))
        // One that was away for longer than steps are kept loads the image.
        #expect(try await first.read { db in try db.first("SELECT count(*) FROM note") { $0.int(0) } } == 1)
    }

    @Test("many small steps are put into an image too: a copy that starts would take long for them")
    func manySteps() async throws {
        let first = try await copy("1")
        try await first.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        let before = log.publishes
        for _ in 0..<Database.uncompactedBytesMax / 1024 {
            try await first.write { db in try db.run("UPDATE account SET amount = amount + 1") }
        }
        #expect(log.publishes == before + 1)
        #expect(try await contents(try await copy("2")) == contents(first))
    }

    @Test("copies of an older schema take over the newer one's image, or say that they are too old")
    func migrates() async throws {
        let second = Migration("second", sql: "ALTER TABLE account ADD COLUMN name TEXT NOT NULL DEFAULT 'x'")
        let old = try await copy("1")
        try await old.write { db in try db.run("INSERT INTO account VALUES ('a', 0)") }
        let new = try await copy("2", Self.migrations + [second])
        #expect(try await new.read { db in try db.first("SELECT name FROM account") { $0.string(0) } } == "x")
        await #expect(throws: StorageError.self) { _ = try await amount("a", in: old) }
        await #expect(throws: StorageError.self) {
            try await old.write { db in try db.run("UPDATE account SET amount = 3") }
        }
        let another = try await copy("3", Self.migrations + [second])
        #expect(try await amount("a", in: another) == 0)
        #expect(log.publishes == 2)
        await #expect(throws: SQLiteError.self) {
            _ = try await copy("4", [Migration("keyless", sql: "CREATE TABLE t (x)")], of: MemoryChangeLog())
        }
    }

    @Test("a history that was lost is told, and not taken for an empty one; one that was put back is taken over")
    func lostHistory() async throws {
        let first = try await copy("1")
        for amount in 1...3 {
            try await first.write { db in
                try db.run(
                    "INSERT INTO account VALUES ('a', ?) ON CONFLICT DO UPDATE SET amount = excluded.amount",
                    amount
                )
            }
        }
        log.rewind(to: 3)
        #expect(try await amount("a", in: first) == 2)
        // Another step in the same place: numbers alone would not show it.
        log.rewind(to: 2)
        let second = try await copy("2")
        try await second.write { db in try db.run("UPDATE account SET amount = 9") }
        #expect(try await amount("a", in: first) == 9)
        // An image without the place that it says it has.
        try await first.compact()
        log.rewind(to: 2)
        await #expect(throws: StorageError.self) { _ = try await amount("a", in: first) }
        log.wipe()
        await #expect(throws: StorageError.self) { _ = try await amount("a", in: first) }
        await #expect(throws: StorageError.self) {
            try await second.write { db in try db.run("UPDATE account SET amount = 1") }
        }
    }

    @Test("any order of transactions, failures, restarts and images leaves one history", arguments: 0..<40)
    func anyOrder(seed: UInt64) async throws {
        let random = Mutex(SeededGenerator(seed: seed))
        func pick(_ range: Range<Int>) -> Int { random.withLock { Int.random(in: range, using: &$0) } }
        log.decide { record in
            guard record.kind != .replaced else { return .done }
            return random.withLock {
                switch Int.random(in: 0..<20, using: &$0) {
                case 0: .refused
                case 1, 2: .answerLost
                case 3, 4: .delayed
                default: .done
                }
            }
        }
        var copies = [try await copy("0"), try await copy("1"), try await copy("2")]
        var done: Set<String> = [], unknown: Set<String> = []
        for step in 0..<60 {
            let index = pick(0..<3)
            switch pick(0..<20) {
            case 0:
                await copies[index].close()
                copies[index] = try await copy("\(index)")
            case 1: try? await copies[index].compact()
            case 2, 3: log.deliverDelayed()
            default:
                let text = "event \(step)"
                let (from, to) = ("\(pick(0..<5))", "\(pick(0..<5))")
                do {
                    try await copies[index].write { db in
                        try db.run("INSERT INTO account VALUES (?, 100) ON CONFLICT DO NOTHING", from)
                        try db.run("INSERT INTO account VALUES (?, 100) ON CONFLICT DO NOTHING", to)
                        try db.run("UPDATE account SET amount = amount - 1 WHERE id = ?", from)
                        try db.run("UPDATE account SET amount = amount + 1 WHERE id = ?", to)
                        try db.run("INSERT INTO event (text) VALUES (?)", text)
                    }
                    done.insert(text)
                } catch ChangeLogError.outcomeUnknown {
                    unknown.insert(text)
                } catch ChangeLogError.unavailable {}
            }
        }
        log.decide { _ in .done }
        let all = try await contents(copies[0])
        for copy in copies { #expect(try await contents(copy) == all, "seed \(seed)") }
        let events = try await copies[1].read { db in try db.rows("SELECT text FROM event") { $0.string(0) } }
        #expect(events.count == Set(events).count, "seed \(seed): a step was made twice")
        #expect(done.isSubset(of: events) && done.union(unknown).isSuperset(of: events), "seed \(seed)")
        let (sum, count) =
            try await copies[2].read { db in
                try db.first("SELECT coalesce(sum(amount), 0), count(*) FROM account") { ($0.int(0), $0.int(1)) }
            } ?? (0, 0)
        #expect(sum == 100 * count, "seed \(seed)")
        #expect(all.contains("t 1 \(count)"), "seed \(seed)")
    }
}
