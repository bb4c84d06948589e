/// Everything that is wrong with the settings, at once: a start that fails names all of it.
package struct SettingsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// One thing that is wrong.
    package struct SettingsProblem: Sendable, Equatable, CustomStringConvertible {
        /// The key, or the environment variable's name, or the file's.
        package var key: String
        /// What was given, masked for a secret; empty when nothing was.
        package var value: String
        /// What it must be.
        package var rule: String

        package init(key: String, value: String, rule: String) {
            self.key = key
            self.value = value
            self.rule = rule
        }

        package var description: String { value.isEmpty ? "\(key): \(rule)" : "\(key) = \(value): \(rule)" }
    }

    /// In the order of the catalogue, unknown keys first.
    package var problems: [SettingsProblem]

    package init(problems: [SettingsProblem]) { self.problems = problems }

    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
