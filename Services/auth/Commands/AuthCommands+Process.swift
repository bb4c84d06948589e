import Core
import Crypto
import Foundation
import ServiceKit

/// The commands as the executable offers them.
extension AuthCommands {
    static let all: [ServiceCommand] = [
        ServiceCommand(
            "create-user",
            usage: "--user-id ID --user-type Kehu|Kefu [--user-name NAME] [--admin] [--capacity N] "
                + "(--password-stdin | --password-file FILE)"
        ) { process, arguments in
            try await run(process) { try await $0.createUser(arguments) }
        },
        ServiceCommand("create-demo-users", usage: "[--random-passwords]") { process, arguments in
            try await run(process) { try await $0.createDemoUsers(arguments) }
        },
        ServiceCommand("create-sessions", usage: "--count N [--agents M]") { process, arguments in
            try await run(process) { try await $0.createSessions(arguments) }
        },
    ]

    /// The longest file with a password, in bytes.
    private static let passwordFileBytesMax = 4096

    @concurrent private static func run(
        _ process: ServiceProcess,
        _ body: @Sendable (AuthCommands) async throws -> Void
    ) async throws {
        let config = try AuthConfig(process.settings)
        let store = try await config.openStore()
        let commands = AuthCommands(
            store: store,
            hasher: try config.makeHasher(),
            isProduction: config.isProduction,
            limits: config.sessionLimits,
            passwordRules: config.passwordRules,
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

    private static func readFirstLine(of path: String?) throws -> String? {
        guard let path else { return readLine(strippingNewline: true) }
        guard let file = FileHandle(forReadingAtPath: path),
            let bytes = try file.read(upToCount: passwordFileBytesMax),
            let text = String(bytes: bytes, encoding: .utf8)
        else { throw CommandError("\(path): cannot be read, or is empty") }
        return text.split(separator: "\n", omittingEmptySubsequences: false).first.map(String.init)
    }
}
