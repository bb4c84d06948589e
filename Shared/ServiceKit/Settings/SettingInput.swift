/// A setting's value as it was given: a JSON value from the file, or text from the environment.
package enum SettingInput: Sendable, Equatable {
    case string(String)
    case integer(Int)
    case bool(Bool)
    case list([String])
    /// From the environment, where everything is text.
    case text(String)
    /// A JSON value that no setting takes: `null`, a fraction, an array with other things than strings.
    case other(String)

    /// The value as a problem report shows it.
    package var shown: String {
        switch self {
        case .string(let value), .text(let value): "\"\(value)\""
        case .integer(let value): String(value)
        case .bool(let value): String(value)
        case .list(let values): "[" + values.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
        case .other(let value): value
        }
    }

    /// The text of a string from either source.
    var string: String? {
        switch self {
        case .string(let value), .text(let value): value
        default: nil
        }
    }
}
