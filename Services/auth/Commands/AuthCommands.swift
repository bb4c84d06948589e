import Core
import Crypto
import ServiceKit

/// The named commands of auth.
///
/// They work on the store itself, and may run while the service does.
struct AuthCommands {
    let store: any AuthStore
    let hasher: PasswordHasher
    let rules: PasswordRules
    let isProduction: Bool
    var limits = SessionLimits()
    var now: @Sendable () -> Timestamp = { Timestamp.now() }
    /// Takes lines for standard output, their newlines included.
    let write: (String) throws -> Void
    /// The first line of a file, or of standard input for `nil`, without its newline.
    let firstLine: (_ path: String?) throws -> String?

    /// Makes an account, such as the first administrator's.
    ///
    /// The password never is an argument: arguments are visible to every user of the machine.
    ///
    /// - Throws: `CommandError`, `AuthError`, what the store throws.
    func createUser(_ arguments: [String]) async throws {
        let options = try CommandArguments(
            arguments,
            valued: ["--user-id", "--user-name", "--user-type", "--capacity", "--password-file"],
            flags: ["--admin", "--password-stdin"]
        )
        let userID = try options.required("--user-id")
        guard Account.isAssignableID(userID) else { throw AuthError.invalidField("user_id", rule: Account.userIDRule) }
        guard let userName = Account.normalizedName(options.value("--user-name") ?? userID) else {
            throw AuthError.invalidField("user_name", rule: Account.userNameRule)
        }
        guard let userType = UserType(wire: try options.required("--user-type")) else {
            throw AuthError.invalidField("user_type", rule: "must be Kehu or Kefu")
        }
        guard userType == .agent || !options.has("--admin") else {
            throw CommandError("--admin goes with --user-type Kefu only")
        }
        let capacity = try options.number("--capacity", in: Account.capacityRange)
        guard userType == .agent || capacity == nil else {
            throw CommandError("--capacity goes with --user-type Kefu only")
        }
        let account = Account(
            userID: userID,
            userName: userName,
            userType: userType,
            isAdmin: options.has("--admin"),
            capacity: capacity,
            createdAt: now(),
            passwordHash: try await readNewPassword(options, userID: userID, userName: userName)
        )
        let entry = AuditEntry(.userCreated, by: .command, at: account.createdAt, userID: userID)
        try await store.createAccounts([account], audit: [entry])
        try write("created \(userID)\n")
    }

    /// Prints `user_id user_type state user_name` for each account, with tabs between; the state is `active` or
    /// `disabled`, and `admin` with it.
    func listUsers(_ arguments: [String]) async throws {
        let options = try CommandArguments(arguments, valued: ["--user-type"], flags: ["--admin", "--disabled"])
        var filter = AccountFilter()
        if let text = options.value("--user-type") {
            guard let userType = UserType(wire: text) else { throw CommandError("--user-type must be Kehu or Kefu") }
            filter.userType = userType
        }
        if options.has("--admin") { filter.isAdmin = true }
        if options.has("--disabled") { filter.isDisabled = true }
        var cursor: String?
        while true {
            let page = try await store.accounts(filter, after: cursor, limit: Self.listPage)
            let lines = page.map { account in
                let state = (account.isDisabled ? "disabled" : "active") + (account.isAdmin ? ",admin" : "")
                return "\(account.userID)\t\(account.userType.rawValue)\t\(state)\t\(account.userName)\n"
            }
            try write(lines.joined())
            guard page.count == Self.listPage else { return }
            cursor = page.last?.userID
        }
    }

    /// Accounts read at once.
    private static let listPage = 500

    /// Sets a user's password; all their sessions end, also in the service that runs.
    func resetPassword(_ arguments: [String]) async throws {
        let options = try CommandArguments(
            arguments,
            valued: ["--user-id", "--password-file"],
            flags: ["--password-stdin"]
        )
        let userID = try options.required("--user-id")
        guard let account = try await store.account(userID), !account.isGuest else { throw Self.noSuchUser(userID) }
        let hash = try await readNewPassword(options, userID: userID, userName: account.userName)
        let entry = AuditEntry(.passwordReset, by: .command, at: now(), userID: userID)
        guard try await store.setPassword(userID, hash: hash, revision: nil, sparing: nil, audit: entry) else {
            throw Self.noSuchUser(userID)
        }
        try write("password of \(userID) set; their sessions have ended\n")
    }

    /// Disables an account, or enables it again; who is disabled is logged out everywhere.
    func setDisabled(_ isDisabled: Bool, _ arguments: [String]) async throws {
        let options = try CommandArguments(arguments, valued: ["--user-id"])
        let userID = try options.required("--user-id")
        let change = AccountChange(isDisabled: isDisabled)
        guard try await store.updateAccount(userID, change, by: .command, now: now()) != nil else {
            throw Self.noSuchUser(userID)
        }
        try write("\(isDisabled ? "disabled" : "enabled") \(userID)\n")
    }

    private static func noSuchUser(_ userID: String) -> CommandError { CommandError("\(userID): no such user") }

    /// The hash of the password that the options lead to.
    private func readNewPassword(
        _ options: CommandArguments,
        userID: String,
        userName: String
    ) async throws -> String {
        let password = try readPassword(options)
        if let rule = rules.check(password, userID: userID, userName: userName) {
            throw AuthError.invalidField("password", rule: rule)
        }
        return try await hasher.hash(PasswordRules.normalized(password))
    }

    private func readPassword(_ options: CommandArguments) throws -> String {
        let path = options.value("--password-file")
        guard options.has("--password-stdin") != (path != nil) else {
            throw CommandError("give one of --password-stdin and --password-file FILE")
        }
        guard let password = try firstLine(path) else { throw CommandError("the password is missing") }
        return password
    }

    /// Makes the demo accounts and prints `user_id password user_type` for each.
    ///
    /// - Throws: As `createUser`; also in production.
    func createDemoUsers(_ arguments: [String]) async throws {
        let options = try CommandArguments(arguments, valued: [], flags: ["--random-passwords"])
        try refuseInProduction("demo accounts have published names")
        let demos = DemoAccounts(store: store, hasher: hasher)
        for (demo, password) in try await demos.create(random: options.has("--random-passwords"), now: now()) {
            try write("\(demo.userID) \(password) \(demo.userType.rawValue)\n")
        }
    }

    /// Makes users with a session each for load tests and prints `user_id session_id user_type` for each.
    ///
    /// - Throws: As `createUser`; also in production.
    func createSessions(_ arguments: [String]) async throws {
        let options = try CommandArguments(arguments, valued: ["--count", "--agents"])
        try refuseInProduction("these sessions need no password")
        guard let count = try options.number("--count", in: 1...LoadSessions.countMax) else {
            throw CommandError("--count is missing")
        }
        let agents = try options.number("--agents", in: 0...count / 2) ?? count / 2
        let sessions = LoadSessions(store: store, limits: limits)
        try await sessions.create(count: count, agents: agents, now: now()) { lines in
            try write(lines.map { "\($0.userID) \($0.sessionID) \($0.userType.rawValue)\n" }.joined())
        }
    }

    private func refuseInProduction(_ reason: String) throws(CommandError) {
        guard isProduction else { return }
        throw CommandError("refused in production: \(reason) (setting: environment)")
    }
}
