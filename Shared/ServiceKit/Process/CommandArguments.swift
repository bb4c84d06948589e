/// A command's options: `--name value`, `--name=value`, and flags.
package struct CommandArguments {
    private var values: [String: String] = [:]
    private var flags: Set<String> = []

    /// - Parameters:
    ///   - arguments: What follows the command's name.
    ///   - valued: Names of the options that take a value.
    ///   - flags: Names of those that take none.
    /// - Throws: `CommandError` for an unknown, repeated or incomplete one.
    package init(_ arguments: [String], valued: Set<String>, flags: Set<String> = []) throws(CommandError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            if flags.contains(name), parts.count == 1 {
                self.flags.insert(name)
            } else if valued.contains(name) {
                guard values[name] == nil else { throw CommandError("\(name) is given twice") }
                guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                    throw CommandError("\(name) needs a value")
                }
                values[name] = value
            } else {
                throw CommandError("unknown option \(argument)")
            }
        }
    }

    /// Whether the flag was given.
    package func has(_ name: String) -> Bool { flags.contains(name) }

    /// The option's value; `nil` when it was not given.
    package func value(_ name: String) -> String? { values[name] }

    /// The option's value.
    package func required(_ name: String) throws(CommandError) -> String {
        guard let value = values[name] else { throw CommandError("\(name) is missing") }
        return value
    }

    /// The option's value as a whole number; `nil` when it was not given.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(CommandError) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw CommandError("\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }
}
