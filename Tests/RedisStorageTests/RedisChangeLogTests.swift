import Core
import Net
import Redis
import RedisStorage
import Storage
import Synchronization
import TestSupport
import Testing

/// Copies of one database over a real server.
private final class ReplicatedFixture {
    static let migrations = [
        Migration(
            "first",
            sql: """
                CREATE TABLE counter (id TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
                CREATE TABLE event (number INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL) STRICT;
                CREATE TABLE piece (number INTEGER NOT NULL PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
                INSERT INTO counter VALUES ('all', 0);
                """
        )
    ]

    let directory: TemporaryDirectory
    let server: RedisServer
    private let loops: EventLoopGroup
    private var clients: [RedisClient] = []

    init() async throws {
        directory = try TemporaryDirectory()
        server = try await RedisServer()
        loops = try EventLoopGroup(count: 1)
    }

    func makeLog() -> RedisChangeLog {
        let client = RedisClient(
            RedisURL(server.endpoint),
            loop: loops.next(),
            configuration: RedisChangeLog.configuration(name: "test", log: nil)
        )
        clients.append(client)
        return RedisChangeLog(name: "things", client: client)
    }

    func copy(_ name: String) async throws -> Database {
        try await Database.open(path: directory.file(name), migrations: Self.migrations, log: makeLog())
    }

    /// Images that are there, and whether each is there for good.
    func images() async -> [(key: String, isLasting: Bool)] {
        var images: [(key: String, isLasting: Bool)] = []
        for key in await server.answer("KEYS", "{things}:head:*")?.elements?.compactMap(\.text) ?? [] {
            images.append((key, await server.answer("TTL", key)?.integer == -1))
        }
        return images
    }

    func end() async {
        for client in clients { await client.shutDown() }
        loops.shutDown()
    }
}

/// What became of each transaction.
private final class Outcomes: Sendable {
    struct All {
        var done: Set<String> = []
        var unknown: Set<String> = []
        var isOver = false
    }

    private let state = Mutex(All())

    var all: All { state.withLock { $0 } }

    func change<Result: Sendable>(_ body: (inout sending All) -> sending Result) { _ = state.withLock(body) }
}

extension ChangeLogError {
    fileprivate var isForWantOfRoom: Bool { if case .full = self { true } else { false } }
}

@Suite("Databases replicated through Redis")
struct RedisChangeLogTests {
    private func count(_ database: Database) async throws -> Int {
        try await database.read { db in try db.first("SELECT value FROM counter") { $0.int(0) } } ?? -1
    }

    private func add(_ text: String, to database: Database) async throws {
        try await database.write { db in
            let value = try db.first("SELECT value FROM counter") { $0.int(0) } ?? 0
            try db.run("UPDATE counter SET value = ?", value + 1)
            try db.run("INSERT INTO event (text) VALUES (?)", text)
        }
    }

    @Test("transactions of several copies at once are one sequence")
    func atOnce() async throws {
        let fixture = try await ReplicatedFixture()
        let copies = [try await fixture.copy("1"), try await fixture.copy("2"), try await fixture.copy("3")]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, copy) in copies.enumerated() {
                group.addTask {
                    for number in 0..<60 { try await add("\(index) \(number)", to: copy) }
                }
            }
            try await group.waitForAll()
        }
        for copy in copies {
            #expect(try await count(copy) == 180)
            let events = try await copy.read { db in
                try db.rows("SELECT number FROM event ORDER BY number") { $0.int(0) }
            }
            #expect(events == Array(1...180))
        }
        await fixture.end()
    }

    @Test("whatever is answered is there after kill -9 of the server; what failed is not, but for what is unknown")
    func killed() async throws {
        let fixture = try await ReplicatedFixture()
        let copies = [try await fixture.copy("1"), try await fixture.copy("2")]
        let outcomes = Outcomes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, copy) in copies.enumerated() {
                group.addTask {
                    var number = 0
                    while !outcomes.all.isOver {
                        number += 1
                        let text = "\(index) \(number)"
                        do {
                            try await add(text, to: copy)
                            outcomes.change { $0.done.insert(text) }
                        } catch ChangeLogError.outcomeUnknown {
                            outcomes.change { $0.unknown.insert(text) }
                        } catch ChangeLogError.unavailable {}
                    }
                }
            }
            for round in 1...4 {
                #expect(await eventually { outcomes.all.done.count > round * 40 })
                fixture.server.kill()
                try await fixture.server.start()
            }
            outcomes.change { $0.isOver = true }
            try await group.waitForAll()
        }
        let events = try await copies[0].read { db in try db.rows("SELECT text FROM event") { $0.string(0) } }
        #expect(Set(events).count == events.count)
        let all = outcomes.all
        #expect(all.done.isSubset(of: events))
        #expect(all.done.union(all.unknown).isSuperset(of: events))
        #expect(try await count(copies[1]) == events.count)
        let third = try await fixture.copy("3")
        #expect(try await count(third) == events.count)
        await fixture.end()
    }

    @Test("an image of many pieces; the one before it does not stay")
    func images() async throws {
        let fixture = try await ReplicatedFixture()
        let first = try await fixture.copy("1")
        for number in 0..<5 {
            let bytes = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* (number + 3)) }
            try await first.write { db in try db.run("INSERT INTO piece VALUES (?, ?)", number, bytes) }
        }
        try await first.compact()
        let second = try await fixture.copy("2")
        let sums = "SELECT number, length(bytes), hex(substr(bytes, -8)) FROM piece ORDER BY 1"
        let pieces = try await first.read { db in try db.rows(sums) { "\($0.int(0)) \($0.int(1)) \($0.string(2))" } }
        #expect(pieces.count == 5)
        #expect(
            try await second.read { db in try db.rows(sums) { "\($0.int(0)) \($0.int(1)) \($0.string(2))" } } == pieces
        )
        let images = await fixture.images()
        #expect(images.count == 2 && images.filter(\.isLasting).count == 1)
        await fixture.end()
    }

    @Test("without room what is to grow is refused as a whole, and what is to shrink is stored")
    func withoutRoom() async throws {
        let fixture = try await ReplicatedFixture()
        let (first, second) = (try await fixture.copy("1"), try await fixture.copy("2"))
        try await add("one", to: first)
        try await fixture.server.leaveRoom(0)
        for copy in [first, second] {
            let error = await #expect(throws: ChangeLogError.self) { try await add("two", to: copy) }
            #expect(error?.isForWantOfRoom == true && error?.problem.status == 507)
        }
        #expect(try await count(first) == 1)
        try await second.write(evenWhenFull: true) { db in
            try db.run("DELETE FROM event")
            try db.run("UPDATE counter SET value = 0")
        }
        #expect(try await count(first) == 0)
        // It was never in doubt whether something was done: nothing had to take its place.
        #expect(await fixture.server.answer("XLEN", "{things}:changes")?.integer == 3)
        try await fixture.server.leaveRoom(nil)
        try await add("three", to: first)
        #expect(try await count(second) == 1)
        await fixture.end()
    }

    @Test("an image for which there is no room leaves nothing behind, and goes in when there is some")
    func imageWithoutRoom() async throws {
        let fixture = try await ReplicatedFixture()
        let first = try await fixture.copy("1")
        for number in 0..<5 {
            let bytes = (0..<700_000).map { _ in UInt8.random(in: 0...255) }
            try await first.write { db in try db.run("INSERT INTO piece VALUES (?, ?)", number, bytes) }
        }
        // For some of its pieces, and not for all.
        try await fixture.server.leaveRoom(5 << 19)
        let error = await #expect(throws: ChangeLogError.self) { try await first.compact() }
        #expect(error?.isForWantOfRoom == true)
        #expect(await fixture.images().map(\.isLasting) == [true])
        try await fixture.server.leaveRoom(nil)
        try await first.compact()
        #expect(await fixture.images().count == 2)
        let second = try await fixture.copy("2")
        #expect(try await second.read { db in try db.first("SELECT count(*) FROM piece") { $0.int(0) } } == 5)
        await fixture.end()
    }

    @Test("an image that comes too late leaves nothing behind; what was published stays, whoever stores it again")
    func imageTooLate() async throws {
        let fixture = try await ReplicatedFixture()
        try await add("one", to: try await fixture.copy("1"))
        let log = fixture.makeLog()
        let published = try #require(try log.latestImage())
        for token in ["another", published.mark.token] {
            let record = ChangeRecord(mark: ChangeMark(number: 1, token: token), kind: .replaced)
            let isPublished = try [UInt8](repeating: 7, count: 3 << 20).withUnsafeBytes {
                try log.publish($0, record, after: .beginning)
            }
            #expect(!isPublished)
            #expect(await fixture.images().map(\.isLasting) == [true])
            #expect(try log.latestImage()?.bytes == published.bytes)
        }
        await fixture.end()
    }

    @Test("a server that has lost its data is told from an empty database, until the service starts again")
    func flushed() async throws {
        let fixture = try await ReplicatedFixture()
        let first = try await fixture.copy("1")
        try await add("one", to: first)
        _ = await fixture.server.answer("FLUSHALL")
        await #expect(throws: StorageError.self) { _ = try await count(first) }
        await #expect(throws: StorageError.self) { try await add("two", to: first) }
        #expect(try await count(try await fixture.copy("2")) == 0)
        await fixture.end()
    }

    @Test("without a server a call fails in time, and works again when there is one")
    func away() async throws {
        let fixture = try await ReplicatedFixture()
        let first = try await fixture.copy("1")
        fixture.server.kill()
        await #expect(throws: ChangeLogError.self) { try await add("one", to: first) }
        try await fixture.server.start()
        #expect(await eventually { (try? await add("two", to: first)) != nil })
        #expect(try await count(first) >= 1)
        await fixture.end()
    }

    @Test("what does not pass by itself is told from what does")
    func unusable() async throws {
        let fixture = try await ReplicatedFixture()
        func isPassing() async throws -> Bool? {
            do { _ = try await fixture.copy("1") } catch let error as ChangeLogError { return error.isPassing }
            return nil
        }
        _ = await fixture.server.answer("SET", "{things}:head", "somebody's")
        #expect(try await isPassing() == false)
        _ = await fixture.server.answer("DEL", "{things}:head")
        _ = await fixture.server.answer("HSET", "{things}:head", "i", "key", "in", "x", "it", "t", "ic", "1")
        #expect(try await isPassing() == false)
        _ = await fixture.server.answer("DEL", "{things}:head")
        fixture.server.kill()
        #expect(try await isPassing() == true)
        try await fixture.server.start(["--requirepass", "secret"])
        #expect(try await isPassing() == false)
        fixture.server.kill()
        try await fixture.server.start()
        #expect(try await isPassing() == nil)
        await fixture.end()
    }
}
