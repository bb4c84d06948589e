import Contracts
import Core
import Storage
import TestSupport
import Testing

@testable import PresenceService

@Suite("Leadership store")
struct LeadershipStoreTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.file("presence.sqlite") }

    init() throws { directory = try TemporaryDirectory() }

    private func claim(
        _ store: SQLiteLeadershipStore,
        after record: LeadershipRecord?,
        _ url: String,
        from first: Int = 100
    ) async throws -> LeadershipTerm? {
        try await store.claim(after: record, url: url, firstRegistration: first)
    }

    @Test("terms follow one another; beats change the record, and giving up shows in it")
    func terms() async throws {
        let database = try await PresenceSchema.open(path: path)
        let store = SQLiteLeadershipStore(database)
        #expect(try await store.record() == nil)
        #expect(try await claim(store, after: nil, "http://a:1")?.number == 1)
        #expect(try await store.record() == LeadershipRecord(term: 1, url: "http://a:1", beat: 1))
        #expect(try await store.renew(1))
        let second = LeadershipRecord(term: 1, url: "http://a:1", beat: 2)
        #expect(try await store.record() == second)
        #expect(try await claim(store, after: second, "http://b:1")?.number == 2)
        #expect(try await store.renew(1) == false)
        try await store.resign(1)
        #expect(try await store.record() == LeadershipRecord(term: 2, url: "http://b:1", beat: 1))
        try await store.resign(2)
        #expect(try await store.record() == LeadershipRecord(term: 2, url: "http://b:1", beat: nil))
        await database.close()
    }

    @Test("a claim after a record that has changed comes to nothing")
    func stale() async throws {
        let database = try await PresenceSchema.open(path: path)
        let store = SQLiteLeadershipStore(database)
        _ = try await claim(store, after: nil, "http://a:1")
        let seen = try await store.record()
        #expect(try await claim(store, after: nil, "http://b:1") == nil)
        #expect(try await store.renew(1))
        #expect(try await claim(store, after: seen, "http://b:1") == nil)
        #expect(try await store.record()?.url == "http://a:1")
        await database.close()
    }

    @Test("of many candidates at once, each with a copy of its own, one leads", .timeLimit(.minutes(2)))
    func candidates() async throws {
        let databases = try await copies(4)
        let first = SQLiteLeadershipStore(databases[0])
        _ = try await claim(first, after: nil, "http://a:1")
        let seen = try await first.record()
        let won = try await withThrowingTaskGroup(of: Bool.self) { group in
            for (index, database) in databases.enumerated() {
                group.addTask {
                    try await claim(SQLiteLeadershipStore(database), after: seen, "http://\(index):1") != nil
                }
            }
            return try await group.reduce(into: 0) { count, hasWon in count += hasWon ? 1 : 0 }
        }
        #expect(won == 1)
        for database in databases { await database.close() }
    }

    @Test("registration numbers go on past the former leader's, also where the clock is behind")
    func registrations() async throws {
        let database = try await PresenceSchema.open(path: path)
        let store = SQLiteLeadershipStore(database)
        #expect(try await claim(store, after: nil, "http://a:1", from: 5000)?.firstRegistration == 5000)
        let next = try await claim(store, after: try await store.record(), "http://b:1", from: 10)
        #expect(next?.firstRegistration == 5000 + SQLiteLeadershipStore.registrationsMax)
        let ahead = try await claim(store, after: try await store.record(), "http://b:1", from: 1 << 50)
        #expect(ahead?.firstRegistration == 1 << 50)
        await database.close()
    }

    @Test("what a former leader writes is refused, by a copy that has not heard of the new one")
    func fence() async throws {
        let databases = try await copies(2)
        let (old, new) = (databases[0], databases[1])
        _ = try await claim(SQLiteLeadershipStore(old), after: nil, "http://a:1")
        let lease = LeaderLease(term: 1, heldUntil: .max, now: { 0 })
        let statuses = SQLiteStatusStore(old, fence: .leader(lease))
        let routing = SQLiteRoutingStore(old, fence: .leader(lease))
        try await statuses.save(.busy, of: "a1")
        let store = SQLiteLeadershipStore(new)
        #expect(try await claim(store, after: try await store.record(), "http://b:1")?.number == 2)
        #expect(lease.isHeld)

        await #expect(throws: PresenceError.notLeading) { try await statuses.save(.away, of: "a1") }
        #expect(!lease.isHeld)
        await #expect(throws: PresenceError.notLeading) {
            try await statuses.record(lastSeen: ["u1": Timestamp(milliseconds: 5)])
        }
        let row = RoutedConversation(conversationID: "c:u1", customerID: "u1")
        await #expect(throws: PresenceError.notLeading) {
            try await routing.store(RoutingEffects(conversations: [row]))
        }
        #expect(try await SQLiteStatusStore(new).statuses() == ["a1": .busy])
        #expect(try await SQLiteStatusStore(new).lastSeen(of: "u1") == nil)
        #expect(try await SQLiteRoutingStore(new).conversations(["c:u1"]) == [])
        for database in databases { await database.close() }
    }

    /// Copies of one database: of a history in Redis, or in memory.
    private func copies(_ count: Int) async throws -> [Database] {
        let log = MemoryChangeLog()
        var databases: [Database] = []
        for _ in 0..<count {
            if StoreEngine.isRedis {
                databases.append(try await PresenceSchema.open(path: path))
            } else {
                databases.append(try await .openPresenceCopy(in: directory, log))
            }
        }
        return databases
    }
}

extension Database {
    /// A copy of a presence's database whose history is in memory.
    static func openPresenceCopy(in directory: TemporaryDirectory, _ log: MemoryChangeLog) async throws -> Database {
        try await openCopy(
            in: directory.path,
            name: "presence",
            migrations: PresenceSchema.migrations,
            log: log
        )
    }
}
