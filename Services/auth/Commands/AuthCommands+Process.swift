import Core
import Crypto
import Foundation
import ServiceKit

/// The commands as the executable offers them.
extension AuthCommands {
    static let all: [ServiceCommand] = [
        ServiceCommand(
            "create-user",
            usage: "--user-id ID --user-type Kehu|Kefu [--user-name NAME] [--admin] [--capacity N] " + passwordOptions,
            summary:
                "Makes an account, such as the first administrator's. The password is the first line of FILE, or of "
                + "standard input."
        ) { process, arguments in
            try await run(process) { try await $0.createUser(arguments) }
        },
        ServiceCommand(
            "list-users",
            usage: "[--user-type Kehu|Kefu] [--admin] [--disabled]",
            summary:
                "Prints user_id, user_type, state (active or disabled; admin) and user_name of each account, with tabs "
                + "between."
        ) { process, arguments in
            try await run(process) { try await $0.listUsers(arguments) }
        },
        ServiceCommand(
            "reset-password",
            usage: "--user-id ID " + passwordOptions,
            summary: "Sets a user's password and ends all their sessions, also while the service runs."
        ) { process, arguments in
            try await run(process) { try await $0.resetPassword(arguments) }
        },
        ServiceCommand(
            "disable-user",
            usage: "--user-id ID",
            summary: "Lets a user log in no longer and ends all their sessions, also while the service runs."
        ) { process, arguments in
            try await run(process) { try await $0.setDisabled(true, arguments) }
        },
        ServiceCommand("enable-user", usage: "--user-id ID", summary: "Lets a disabled user log in again.") {
            process,
            arguments in
            try await run(process) { try await $0.setDisabled(false, arguments) }
        },
        ServiceCommand(
            "create-demo-users",
            usage: "[--random-passwords]",
            summary: "Makes the guide's accounts and prints their passwords; refused in production."
        ) { process, arguments in
            try await run(process) { try await $0.createDemoUsers(arguments) }
        },
        ServiceCommand(
            "create-sessions",
            usage: "--count N [--agents M]",
            summary: "Makes users with a session each for load tests; refused in production."
        ) { process, arguments in
            try await run(process) { try await $0.createSessions(arguments) }
        },
        .importSQLite(AuthConfig.databaseName, file: AuthConfig.databaseFile, migrations: AuthSchema.migrations),
    ]

    private static let passwordOptions = "(--password-stdin | --password-file FILE)"

    /// The longest file with a password, in bytes.
    private static let passwordFileBytesMax = 4096

    @concurrent private static func run(
        _ process: ServiceProcess,
        _ body: @Sendable (AuthCommands) async throws -> Void
    ) async throws {
        let config = try AuthConfig(process.settings)
        let store = try await AuthConfig.openStore(process)
        let commands = AuthCommands(
            store: store,
            hasher: try config.makeHasher(),
            rules: config.passwordRules,
            isProduction: config.isProduction,
            limits: config.sessionLimits,
            write: { process.output($0) },
            firstLine: readFirstLine
        )
        do {
            try await body(commands)
        } catch let error as AuthError {
            await store.close()
            throw CommandError(error.problem.detail)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
    }

    /// The first line of a file's text, without its line feed, or carriage return and line feed.
    static func firstLine(in text: String) -> String {
        // The two are one `Character`.
        String(text.prefix { $0 != "\n" && $0 != "\r\n" })
    }

    private static func readFirstLine(of path: String?) throws -> String? {
        guard let path else { return readLine(strippingNewline: true) }
        guard let file = FileHandle(forReadingAtPath: path),
            let bytes = try file.read(upToCount: passwordFileBytesMax),
            let text = String(bytes: bytes, encoding: .utf8)
        else { throw CommandError("\(path): cannot be read, or is empty") }
        return firstLine(in: text)
    }
}
