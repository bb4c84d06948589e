import Core
import Crypto
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import AuthService

@Suite("auth's commands")
struct AuthCommandsTests {
    private final class Output: Sendable {
        private let text = Mutex("")
        func write(_ line: String) { text.withLock { $0 += line } }
        var lines: [[Substring]] { text.withLock { $0.split(separator: "\n").map { $0.split(separator: " ") } } }
    }

    private let output = Output()
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func commands(production: Bool = false, password: String? = "correct horse") async throws -> AuthCommands {
        AuthCommands(
            store: try await SQLiteAuthStore.open(directory: directory.path),
            hasher: try PasswordHasher(cost: 1),
            rules: PasswordRules(),
            isProduction: production,
            write: { [output] in output.write($0) },
            firstLine: { _ in password }
        )
    }

    @Test("create-user makes an account that can log in, also in production")
    func createUser() async throws {
        let commands = try await commands(production: true)
        try await commands.createUser([
            "--user-id", "boss", "--user-name=The Boss", "--user-type", "Kefu", "--admin", "--password-stdin",
        ])
        let account = try #require(try await commands.store.account("boss"))
        #expect(account.userName == "The Boss" && account.userType == .agent && account.isAdmin)
        #expect(try await commands.hasher.verify("correct horse", stored: account.passwordHash))
        await #expect(throws: AuthError.userExists("boss")) {
            try await commands.createUser(["--user-id", "boss", "--user-type", "Kefu", "--password-file", "f"])
        }
    }

    @Test(
        "create-user refuses a bad command line, naming what is wrong",
        arguments: [
            ("--user-type Kehu --password-stdin", "--user-id"),
            ("--user-id a --password-stdin", "--user-type"),
            ("--user-id a --user-type Boss --password-stdin", "user_type"),
            ("--user-id a --user-type Kehu", "--password-stdin"),
            ("--user-id a --user-type Kehu --password-stdin --password-file f", "one of"),
            ("--user-id a --user-type Kehu --admin --password-stdin", "--admin"),
            ("--user-id me --user-type Kehu --password-stdin", "user_id"),
            ("--user-id online --user-type Kehu --password-stdin", "user_id"),
            ("--user-id system --user-type Kehu --password-stdin", "user_id"),
            ("--user-id a --user-type Kehu --capacity 5 --password-stdin", "--capacity"),
            ("--user-id a --user-type Kefu --capacity 0 --password-stdin", "--capacity"),
            ("--user-id a --user-type Kefu --capacity 1001 --password-stdin", "--capacity"),
            ("--user-id a --user-type Kefu --capacity five --password-stdin", "--capacity"),
            ("--user-id guest-1 --user-type Kehu --password-stdin", "user_id"),
            ("--user-id .. --user-type Kehu --password-stdin", "user_id"),
            ("--user-id a/b --user-type Kehu --password-stdin", "user_id"),
            ("--user-id a --user-id b", "twice"),
            ("--user-id", "needs a value"),
            ("--password secret", "unknown option"),
            ("--admin=yes", "unknown option"),
        ]
    )
    func badCommandLine(line: String, names: String) async throws {
        let commands = try await commands()
        let error = await #expect(throws: (any Error).self) {
            try await commands.createUser(line.split(separator: " ").map(String.init))
        }
        #expect(String(describing: error ?? AuthError.sessionEnded).contains(names))
    }

    @Test("create-user gives an agent a capacity, else the stack's default", arguments: [nil, 1, 1000] as [Int?])
    func capacity(_ capacity: Int?) async throws {
        let commands = try await commands()
        let option = capacity.map { ["--capacity", "\($0)"] } ?? []
        try await commands.createUser(["--user-id", "a", "--user-type", "Kefu", "--password-stdin"] + option)
        #expect(try #require(try await commands.store.account("a")).capacity == capacity)
    }

    @Test("create-user refuses a bad password or name, naming the rule; the name is kept trimmed and composed")
    func rules() async throws {
        let line = ["--user-id", "a", "--user-type", "Kehu", "--password-stdin"]
        let weak = try await commands(password: "PassWord123")
        await #expect(
            throws: AuthError.invalidField("password", rule: "must not be one of the most common passwords")
        ) { try await weak.createUser(line) }
        let commands = try await commands(password: "cafe\u{301} au lait")
        await #expect(throws: AuthError.invalidField("user_name", rule: Account.userNameRule)) {
            try await commands.createUser(line + ["--user-name", "a\u{202E}b"])
        }
        try await commands.createUser(line + ["--user-name", " Zoe\u{308} "])
        let account = try #require(try await commands.store.account("a"))
        #expect(account.userName.unicodeScalars.elementsEqual("Zo\u{EB}".unicodeScalars))
        #expect(try await commands.hasher.verify("caf\u{E9} au lait", stored: account.passwordHash))
    }

    @Test(
        "a password file's first line is the password, whatever ends it",
        arguments: ["one two", "one two\n", "one two\r\n", "one two\nthree", "one two\r\nthree\r\n"]
    )
    func firstLine(text: String) { #expect(AuthCommands.firstLine(in: text) == "one two") }

    @Test("list-users prints a line for each account, filtered")
    func listUsers() async throws {
        let commands = try await commands()
        for (userID, more) in [("ann", []), ("bob", ["--admin"])] {
            let type = more.isEmpty ? "Kehu" : "Kefu"
            try await commands.createUser(["--user-id", userID, "--user-type", type, "--password-stdin"] + more)
        }
        try await commands.setDisabled(true, ["--user-id", "ann"])
        let before = output.lines.count
        try await commands.listUsers([])
        try await commands.listUsers(["--admin"])
        try await commands.listUsers(["--disabled", "--user-type", "customer"])
        let lines = output.lines.dropFirst(before).map { $0.joined(separator: " ") }
        #expect(
            lines == ["ann\tKehu\tdisabled\tann", "bob\tKefu\tactive,admin\tbob"] + [
                "bob\tKefu\tactive,admin\tbob", "ann\tKehu\tdisabled\tann",
            ]
        )
        await #expect(throws: CommandError.self) { try await commands.listUsers(["--user-type", "Boss"]) }
    }

    @Test("reset-password and disable-user end the user's sessions; enable-user lets them log in again")
    func endSessions() async throws {
        let commands = try await commands(password: "another horse")
        try await commands.createUser(["--user-id", "ann", "--user-type", "Kehu", "--password-stdin"])
        let store = commands.store
        func begin(_ name: String) async throws {
            let account = try #require(try await store.account("ann"))
            let session = commands.limits.begin(SessionHash(of: name), userID: "ann", now: commands.now())
            let beginning = SessionBeginning(
                session: session,
                origin: SessionOrigin(),
                sessionsPerUserMax: 50,
                audit: AuditEntry(.login, by: Actor(userID: "ann"), at: commands.now())
            )
            #expect(try await store.beginSession(beginning, revision: account.revision) == !account.isDisabled)
        }
        try await begin("one")
        try await commands.resetPassword(["--user-id", "ann", "--password-stdin"])
        #expect(try await store.session(SessionHash(of: "one")) == nil)
        try await begin("two")
        try await commands.setDisabled(true, ["--user-id", "ann"])
        #expect(try await store.session(SessionHash(of: "two")) == nil)
        try await begin("three")
        try await commands.setDisabled(false, ["--user-id", "ann"])
        try await begin("four")
        #expect(try await store.session(SessionHash(of: "four")) != nil)
        for attempt in [["--user-id", "nobody"], [], ["--user-id", "ann", "--force"]] {
            await #expect(throws: (any Error).self) { try await commands.setDisabled(true, attempt) }
        }
        await #expect(throws: CommandError.self) {
            try await commands.resetPassword(["--user-id", "nobody", "--password-stdin"])
        }
        let events = try await store.auditEntries(AuditFilter(), before: nil, limit: 10).map(\.entry.event.word)
        #expect(events.filter { $0 == "user_updated" }.count == 2 && events.contains("password_reset"))
    }

    @Test("create-demo-users is idempotent, and gives back the published passwords after random ones")
    func demoUsers() async throws {
        let commands = try await commands()
        for arguments in [[], ["--random-passwords"], [], []] as [[String]] {
            try await commands.createDemoUsers(arguments)
        }
        let runs = stride(from: 0, to: 16, by: 4).map { Array(output.lines[$0..<$0 + 4]) }
        #expect(runs[0].map { $0[0] } == ["user123", "support001", "test", "test_user"])
        #expect(runs[0].map { $0[1] } == ["password123", "password123", "test", "password"])
        #expect(runs[0].map { $0[2] } == ["Kehu", "Kefu", "Kehu", "Kehu"])
        #expect(Set(runs[1].map { $0[1] }).count == 4 && runs[1].allSatisfy { $0[1].count == 16 })
        #expect(runs[2] == runs[0] && runs[3] == runs[0])
        let account = try #require(try await commands.store.account("test"))
        #expect(try await commands.hasher.verify("test", stored: account.passwordHash))
        #expect(try await commands.store.account("support001")?.isAdmin == true)
    }

    @Test("create-demo-users and create-sessions are refused in production")
    func production() async throws {
        let commands = try await commands(production: true)
        await #expect(throws: CommandError.self) { try await commands.createDemoUsers([]) }
        await #expect(throws: CommandError.self) { try await commands.createSessions(["--count", "1"]) }
        #expect(output.lines.isEmpty)
        #expect(try await commands.store.account("user123") == nil)
    }

    @Test(
        "create-sessions alternates until there are enough agents, then makes customers",
        arguments: [([], [4, 3]), (["--agents", "2"], [5, 2]), (["--agents=0"], [7, 0])] as [([String], [Int])]
    )
    func createSessions(arguments: [String], counts: [Int]) async throws {
        let commands = try await commands()
        try await commands.createSessions(["--count", "7"] + arguments)
        let lines = output.lines
        let types = lines.map { $0[2] }
        #expect(types.count == 7)
        #expect([types.count { $0 == "Kehu" }, types.count { $0 == "Kefu" }] == counts)
        let alternating = types.prefix(counts[1] * 2)
        #expect(alternating.enumerated().allSatisfy { $1 == ($0 % 2 == 0 ? "Kehu" : "Kefu") })
        for line in lines {
            let session = try await commands.store.session(SessionHash(of: String(line[1])))
            #expect(session?.session.userID == String(line[0]))
            #expect(session?.userType.rawValue == String(line[2]))
        }
    }

    @Test("create-sessions over several batches and again: other sessions, same users")
    func manySessions() async throws {
        let commands = try await commands()
        for _ in 0..<2 { try await commands.createSessions(["--count", "2500", "--agents", "10"]) }
        let lines = output.lines
        #expect(lines.count == 5000)
        #expect(Set(lines.map { $0[0] }).count == 2500)
        #expect(Set(lines.map { $0[1] }).count == 5000)
    }

    @Test(
        "create-sessions refuses bad numbers",
        arguments: [
            [], ["--count", "0"], ["--count", "x"], ["--count", "4", "--agents", "3"], ["--count", "1000001"],
        ]
    )
    func badNumbers(arguments: [String]) async throws {
        let commands = try await commands()
        await #expect(throws: CommandError.self) { try await commands.createSessions(arguments) }
    }
}
