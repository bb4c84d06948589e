import Core
import Foundation
import Glibc

extension ServiceProcess {
    /// Runs a service's executable: arguments, settings, signals, and the exit status: 0 after a clean stop, 1 after a
    /// failed start or run, 2 for a wrong command line or wrong settings.
    ///
    /// - Parameters:
    ///   - name: The executable's name.
    ///   - commands: What it can do besides serving.
    ///   - main: The service, from its settings to its end.
    package static func run(
        _ name: String,
        commands: [ServiceCommand] = [],
        _ main: @escaping @concurrent @Sendable (ServiceProcess) async throws -> Void
    ) async -> Never {
        signal(SIGPIPE, SIG_IGN)
        let arguments = Array(ProcessInfo.processInfo.arguments.dropFirst())
        let status: Int32
        switch Invocation.parse(arguments, commands: commands.map(\.name)) {
        case .help:
            write(help(name, commands), to: 1)
            status = 0
        case .version:
            write("\(name) \(StackVersion.text)\n", to: 1)
            status = 0
        case .wrong(let reason):
            write("\(name): \(reason); see \(name) --help\n", to: 2)
            status = 2
        case .service(let config):
            status = await start(name, config) { process in
                try process.listenToSignals()
                try await main(process)
            }
        case .command(let commandName, let config, let rest):
            let called = commands.filter { $0.name == commandName }
            if rest.contains("--help") || rest.contains("-h") {
                for command in called { write(help(name, command), to: 1) }
                status = 0
            } else {
                status = await start(name, config) { process in
                    for command in called { try await command.run(process, rest) }
                }
            }
        }
        exit(status)
    }

    /// Writes a command's answer to standard output.
    package func output(_ text: String) { Self.write(text, to: 1) }

    // MARK: -

    private static func start(
        _ name: String,
        _ config: String?,
        _ body: @concurrent @Sendable (ServiceProcess) async throws -> Void
    ) async -> Int32 {
        var log = Log(service: name)
        do {
            raiseDescriptorLimit()
            let process = try ServiceProcess(name, settings: try loadSettings(config))
            log = process.log
            do {
                try await body(process)
            } catch {
                await process.tearDown()
                throw error
            }
            await process.tearDown()
            log.debug("stopped")
            return 0
        } catch is StopRequest.Requested {
            log.debug("stopped")
            return 0
        } catch let error as SettingsError {
            for problem in error.problems { write("\(name): settings: \(problem)\n", to: 2) }
            return 2
        } catch let error as CommandError {
            write("\(name): \(error)\n", to: 2)
            return 2
        } catch {
            log.error("failed", ["error": .string(String(describing: error))])
            return 1
        }
    }

    private func listenToSignals() throws {
        // A second over the grace period for what comes after the drain.
        let limit = settings[SettingsCatalogue.shutdownGrace] + .milliseconds(1500)
        try TerminationSignals.listen(limit: limit) { [stop, log] number in
            log.info("signal", ["number": .int(Int(number))])
            stop.request()
        }
    }

    private static func loadSettings(_ config: String?) throws(SettingsError) -> Settings {
        var json: [UInt8]?
        if let config {
            do {
                json = Array(try Data(contentsOf: URL(fileURLWithPath: config)))
            } catch {
                throw SettingsError(problems: [.init(key: "--config \(config)", value: "", rule: "cannot be read")])
            }
        }
        return try Settings(json: json, environment: ProcessInfo.processInfo.environment)
    }

    /// As many descriptors as the administrator allows: every connection takes one.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
    }

    private static func help(_ name: String, _ commands: [ServiceCommand]) -> String {
        var text = "usage: \(name) [--config FILE]"
        for command in commands { text += "\n       \(name) \(command.name) [--config FILE] \(command.usage)" }
        return text + "\n       \(name) --help | --version\n\n" + SettingsHelp.text(for: name)
    }

    private static func help(_ name: String, _ command: ServiceCommand) -> String {
        "usage: \(name) \(command.name) [--config FILE] \(command.usage)\n\n\(command.summary)\n"
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return }
            bytes = bytes.dropFirst(max(count, 0))
        }
    }
}
