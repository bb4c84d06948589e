import Core
import Storage
import TestSupport
import Testing

@testable import AuthService

@Suite("SQLiteAuthStore")
struct AuthStoreTests {
    @Test(
        "a list of the few among the many does not read the many",
        arguments: [nil, .customer, .agent] as [UserType?]
    )
    func listPlans(userType: UserType?) async throws {
        let auth = try await AuthFixture()
        func plan(_ filter: AccountFilter) async throws -> String {
            try await auth.store.database.read { try $0.queryPlan(Connection.accountsStatement(filter)).joined() }
        }
        #expect(try await plan(AccountFilter(userType: userType, isDisabled: true)).contains("account_disabled"))
        #expect(try await plan(AccountFilter(userType: userType, isAdmin: true)).contains("account_administrators"))
        let all = try await plan(AccountFilter(userType: userType))
        #expect(all.hasPrefix("SEARCH") && !all.contains("TEMP B-TREE"))
    }

    private let directory: TemporaryDirectory
    private let now = Timestamp(milliseconds: 1_760_000_000_000)

    init() throws { directory = try TemporaryDirectory() }

    private func open() async throws -> SQLiteAuthStore { try await SQLiteAuthStore.open(directory: directory.path) }

    private func account(_ userID: String) -> Account {
        Account(
            userID: userID,
            userName: "名字",
            userType: .agent,
            isAdmin: true,
            capacity: 5,
            createdAt: now,
            passwordHash: "$y$x"
        )
    }

    @Test("accounts round-trip; creation is all or none; an id is given out once")
    func accounts() async throws {
        let store = try await open()
        try await store.createAccounts([account("a"), account("b")], audit: [])
        #expect(try await store.account("a") == account("a"))
        #expect(try await store.account("A") == nil)
        await #expect(throws: AuthError.userExists("b")) {
            try await store.createAccounts([account("c"), account("b")], audit: [])
        }
        #expect(try await store.accounts(["a", "b", "c"]).map(\.userID) == ["a", "b"])
    }

    @Test("the schema refuses what the contract excludes")
    func schemaRules() async throws {
        let store = try await open()
        var admin = account("a")
        admin.userType = .customer
        await #expect(throws: SQLiteError.self) { try await store.createAccounts([admin], audit: []) }
        let session = SessionLimits().begin(SessionHash(of: "x"), userID: "nobody", now: now)
        let error = await #expect(throws: SQLiteError.self) {
            try await store.createSessions([session], sessionsPerUserMax: 50, now: now)
        }
        #expect(error?.isForeignKeyViolation == true)
    }

    @Test("sessions of a disabled account are not found")
    func disabled() async throws {
        let store = try await open()
        var disabled = account("a")
        disabled.isDisabled = true
        try await store.createAccounts([disabled], audit: [])
        let session = SessionLimits().begin(SessionHash(of: "x"), userID: "a", now: now)
        try await store.createSessions([session], sessionsPerUserMax: 50, now: now)
        #expect(try await store.session(session.hash) == nil)
    }

    @Test("migrates from every earlier version, keeping what was there", arguments: 0...AuthSchema.migrations.count)
    func migrations(version: Int) async throws {
        let earlier = try await StoreEngine.open(
            directory.file("auth.db"),
            migrations: Array(AuthSchema.migrations.prefix(version))
        )
        if version > 0 {
            try await earlier.write { db in
                try db.run(
                    "INSERT INTO account (user_id, user_name, user_type, created_at) VALUES ('old', 'Old', 'Kehu', 1)"
                )
                let ended = version < 3 ? "ended_at" : "at"
                try db.run(
                    "INSERT INTO revocation (number, session_hash, \(ended)) VALUES (7, ?, 1)",
                    SessionHash(of: "old").bytes
                )
            }
        }
        await earlier.close()
        let store = try await open()
        #expect(try await (store.account("old") != nil) == (version > 0))
        #expect(try await !store.revocationState().epoch.isEmpty)
        // Numbers go on after those of the earlier version.
        _ = try await store.deleteAccount("old", audit: AuditEntry(.userDeleted, by: .command, at: now))
        #expect(try await store.revocations(after: 0, limit: 10).map(\.number) == (version > 0 ? [7, 8] : []))
    }

    @Test("the list of ended sessions is bounded; numbers go on")
    func revocationsTrimmed() async throws {
        let store = try await SQLiteAuthStore.open(directory: directory.path, revocationsKept: 20)
        try await store.createAccounts([account("a")], audit: [])
        func end(_ count: Int, _ name: String) async throws {
            let sessions = (0..<count).map {
                SessionLimits().begin(SessionHash(of: "\(name)\($0)"), userID: "a", now: now)
            }
            try await store.createSessions(sessions, sessionsPerUserMax: 50, now: now)
            let later = now.advanced(byMilliseconds: 8 * 86_400_000)
            #expect(try await store.sweep(touches: [], now: later, expiredMax: 100) == count)
        }
        try await end(25, "first")
        #expect(try await store.revocationState().trimmedThrough == 0)
        try await end(5, "second")
        #expect(try await store.revocationState().trimmedThrough == 10)
        #expect(try await store.revocations(after: 0, limit: 1).first?.number == 11)
    }

    @Test("a session is replaced once; whoever asks again is told the nonce of the first time")
    func replacement() async throws {
        let store = try await open()
        try await store.createAccounts([account("a")], audit: [])
        func session(_ name: String) -> StoredSession {
            SessionLimits().begin(SessionHash(of: name), userID: "a", now: now)
        }
        func replace(_ old: String, _ new: String, _ nonce: UInt8) async throws -> [UInt8]? {
            try await store.replaceSession(
                session(old),
                with: session(new),
                nonce: [nonce],
                graceEndsAt: now.advanced(byMilliseconds: 10),
                now: now
            )
        }
        try await store.createSessions([session("old")], sessionsPerUserMax: 50, now: now)
        #expect(try await replace("old", "new", 1) == [1])
        #expect(try await replace("old", "new", 1) == [1])
        #expect(try await replace("old", "another", 2) == [1])
        #expect(try await replace("missing", "x", 3) == nil)
        #expect(try await store.session(SessionHash(of: "another")) == nil)
        #expect(try await store.session(SessionHash(of: "old"))?.session.successorNonce == [1])
        #expect(try await store.revocations(after: 0, limit: 10).count == 1)
    }
}
