import Core
import Crypto
import ServiceKit

/// The named commands of auth.
///
/// They work on the store itself, and may run while the service does.
struct AuthCommands {
    let store: any AuthStore
    let hasher: PasswordHasher
    let isProduction: Bool
    var limits = SessionLimits()
    var passwordRules = PasswordRules()
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
        guard Account.isAssignableID(userID) else {
            throw AuthError.invalidField("user_id", rule: Account.userIDRule)
        }
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
        let password = PasswordRules.normalized(try readPassword(options))
        if let rule = passwordRules.check(password, userID: userID, userName: userName) {
            throw AuthError.invalidField("password", rule: rule)
        }
        let account = Account(
            userID: userID,
            userName: userName,
            userType: userType,
            isAdmin: options.has("--admin"),
            capacity: capacity,
            createdAt: now(),
            passwordHash: try await hasher.hash(password)
        )
        try await store.createAccounts([account])
        try write("created \(userID)\n")
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
