/// What a command line asks a service's executable to do.
enum Invocation: Equatable {
    case help
    case version
    /// Run the service.
    case service(config: String?)
    /// Run a named command with what follows its name.
    case command(name: String, config: String?, arguments: [String])
    /// It makes no sense, and why.
    case wrong(String)

    /// Reads a command line: `[--config FILE] [COMMAND [ARGUMENT…]]`, `--help`, `--version`.
    ///
    /// - Parameters:
    ///   - arguments: Without the executable's name.
    ///   - commands: The names of the commands there are.
    /// - Returns: What to do.
    static func parse(_ arguments: [String], commands: [String]) -> Invocation {
        var rest: [String] = []
        var config: String?
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            if argument == "--config" {
                guard index < arguments.count, config == nil else { return .wrong("--config takes one FILE") }
                config = arguments[index]
                index += 1
            } else if argument.hasPrefix("--config=") {
                guard config == nil else { return .wrong("--config takes one FILE") }
                config = String(argument.dropFirst("--config=".count))
            } else if rest.isEmpty, argument == "--help" || argument == "-h" {
                return .help
            } else if rest.isEmpty, argument == "--version" {
                return .version
            } else {
                rest.append(argument)
            }
        }
        guard let name = rest.first else { return .service(config: config) }
        guard commands.contains(name) else { return .wrong("unknown argument \(name)") }
        return .command(name: name, config: config, arguments: Array(rest.dropFirst()))
    }
}
