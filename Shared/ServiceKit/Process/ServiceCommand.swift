/// A named command of a service's executable, such as `auth create-user`: it does one thing and exits.
package struct ServiceCommand: Sendable {
    /// What stands on the command line.
    package let name: String
    /// Its arguments, for `--help`.
    package let usage: String
    /// What it does, one sentence for `--help`.
    package let summary: String
    let run: @concurrent @Sendable (ServiceProcess, [String]) async throws -> Void

    /// - Parameters:
    ///   - name: What stands on the command line.
    ///   - usage: Its arguments, such as `--user-id ID [--admin]`.
    ///   - summary: What it does, one sentence.
    ///   - run: Gets what follows the name. A thrown `CommandError` is printed as it is, exit status 2.
    package init(
        _ name: String,
        usage: String,
        summary: String,
        run: @escaping @concurrent @Sendable (ServiceProcess, [String]) async throws -> Void
    ) {
        self.name = name
        self.usage = usage
        self.summary = summary
        self.run = run
    }
}

/// A command that cannot be done as asked; the text is for whoever typed it.
package struct CommandError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
