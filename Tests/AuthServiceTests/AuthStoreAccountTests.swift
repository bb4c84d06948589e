import Core
import Storage
import TestSupport
import Testing

@testable import AuthService

@Suite("SQLiteAuthStore: accounts")
struct AuthStoreAccountTests {
    private let directory: TemporaryDirectory
    private let store: SQLiteAuthStore
    private let now = Timestamp(milliseconds: 1_760_000_000_000)

    init() async throws {
        directory = try TemporaryDirectory()
        store = try await SQLiteAuthStore.open(directory: directory.path)
    }

    private func add(
        _ userID: String,
        isAdmin: Bool = false,
        isDisabled: Bool = false,
        password: String? = "$y$x",
        expiresAt: Timestamp? = nil
    ) async throws {
        let account = Account(
            userID: userID,
            userName: "Name of \(userID)",
            userType: isAdmin ? .agent : .customer,
            isAdmin: isAdmin,
            isDisabled: isDisabled,
            createdAt: now,
            passwordHash: password,
            expiresAt: expiresAt
        )
        try await store.createAccounts([account], audit: [])
    }

    private func entry(_ event: AuditEvent, of userID: String) -> AuditEntry {
        AuditEntry(event, by: .command, at: now, userID: userID)
    }

    /// What is stored of an account, deleted or not: one text for each row.
    private func rows(_ userID: String) async throws -> [String] {
        try await store.database.read { db in
            try db.rows(
                """
                SELECT user_name || ' ' || is_admin || ' ' || coalesce(password_hash, 'none') FROM account
                WHERE user_id = ?
                """,
                userID
            ) { $0.string(0) }
        }
    }

    @Test("the last administrator is the last who can log in: a disabled one, or one without a password, is none")
    func lastAdministrator() async throws {
        let change = AccountChange(isAdmin: false)
        // Nobody who can is taken away with these, though there is no other.
        try await add("off", isAdmin: true, isDisabled: true)
        try await add("silent", isAdmin: true, password: nil)
        #expect(try await store.updateAccount("off", change, by: .command, now: now)?.account.isAdmin == false)
        #expect(try await store.deleteAccount("silent", audit: entry(.userDeleted, of: "silent")))
        // Nor do they stand in for one.
        try await add("boss", isAdmin: true)
        try await add("off2", isAdmin: true, isDisabled: true)
        try await add("silent2", isAdmin: true, password: nil)
        await #expect(throws: AuthError.lastAdministrator) {
            _ = try await store.updateAccount("boss", change, by: .command, now: now)
        }
        await #expect(throws: AuthError.lastAdministrator) {
            _ = try await store.deleteAccount("boss", audit: entry(.userDeleted, of: "boss"))
        }
        try await add("second", isAdmin: true)
        #expect(try await store.updateAccount("boss", change, by: .command, now: now)?.account.isAdmin == false)
    }

    @Test("a deleted account leaves its id and nothing else; a guest's not even that; the feed tells what ended")
    func deleted() async throws {
        let guest = Account.guestPrefix + "1"
        try await add("a", isAdmin: true)
        try await add("boss", isAdmin: true)
        try await add(guest, password: nil, expiresAt: now)
        for userID in ["a", guest] {
            let before = try await store.revocations(after: 0, limit: 100).count
            let session = SessionLimits().begin(SessionHash(of: userID), userID: userID, now: now)
            try await store.createSessions([session], sessionsPerUserMax: 50, now: now)
            #expect(try await store.deleteAccount(userID, audit: entry(.userDeleted, of: userID)))
            let told = try await store.revocations(after: before, limit: 100).map(\.subject)
            #expect(told == [.session(session.hash, replacedBy: nil), .user(userID)])
        }
        #expect(try await rows("a") == [" 0 none"])
        #expect(try await rows(guest) == [])
    }

    @Test("a password is set, and hashed better, only while the account is there and has not changed")
    func password() async throws {
        try await add("a")
        try await store.rehash("a", from: "$y$other", to: "$y$lost")
        #expect(try await store.account("a")?.passwordHash == "$y$x")
        try await store.rehash("a", from: "$y$x", to: "$y$better")
        #expect(try await store.account("a")?.passwordHash == "$y$better")
        func set(_ hash: String, revision: Int?) async throws -> Bool {
            try await store.setPassword(
                "a",
                hash: hash,
                revision: revision,
                sparing: nil,
                audit: entry(.passwordReset, of: "a")
            )
        }
        let revision = try #require(try await store.account("a")).revision
        #expect(try await set("$y$new", revision: revision))
        #expect(try await !set("$y$late", revision: revision))
        #expect(try await store.account("a")?.passwordHash == "$y$new")
        #expect(try await store.deleteAccount("a", audit: entry(.userDeleted, of: "a")))
        #expect(try await !set("$y$dead", revision: nil))
        #expect(try await rows("a") == [" 0 none"])
    }
}
