import Glibc

/// How much is logged.
package enum LogLevel: String, Sendable, CaseIterable, Comparable {
    case debug, info, warning, error

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rank < b.rank }
}

/// Structured log: one JSON object a line on stderr, `{"ts","level","service","event",…}`.
///
/// `event` is a stable word (`login`, `message_accepted`); what varies goes into fields. Never log a password,
/// a session id or a message body. A line is written with one `write`, so lines of several threads do not mix.
package struct Log: Sendable {
    package let service: String
    package let level: LogLevel
    private let descriptor: Int32

    /// - Parameters:
    ///   - service: The executable's name, in every line.
    ///   - level: Lines below it are dropped.
    ///   - descriptor: Where lines go; stderr unless a test wants to read them.
    package init(service: String, level: LogLevel = .info, descriptor: Int32 = 2) {
        self.service = service
        self.level = level
        self.descriptor = descriptor
    }

    /// A field's value.
    package enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
        ExpressibleByBooleanLiteral
    {
        case string(String)
        case int(Int)
        case double(Double)
        case bool(Bool)
        /// Leaves the field out.
        case none

        /// Text, or nothing at all.
        package static func optional(_ text: String?) -> Value { text.map { .string($0) } ?? .none }

        package init(stringLiteral value: String) { self = .string(value) }
        package init(integerLiteral value: Int) { self = .int(value) }
        package init(booleanLiteral value: Bool) { self = .bool(value) }
    }

    /// What only someone who searches for a fault wants to read.
    package func debug(_ event: StaticString, _ fields: KeyValuePairs<StaticString, Value> = [:]) {
        write(.debug, event, fields)
    }

    /// What happened as it should: a login, a message, a start.
    package func info(_ event: StaticString, _ fields: KeyValuePairs<StaticString, Value> = [:]) {
        write(.info, event, fields)
    }

    /// What is wrong and was coped with.
    package func warning(_ event: StaticString, _ fields: KeyValuePairs<StaticString, Value> = [:]) {
        write(.warning, event, fields)
    }

    /// What failed and needs somebody.
    package func error(_ event: StaticString, _ fields: KeyValuePairs<StaticString, Value> = [:]) {
        write(.error, event, fields)
    }

    private func write(_ level: LogLevel, _ event: StaticString, _ fields: KeyValuePairs<StaticString, Value>) {
        guard level >= self.level else { return }
        var line = #"{"ts":""# + Timestamp.now().wire + #"","level":""# + level.rawValue + #"","service":""#
        line += service + #"","event":""# + event.description + "\""
        for (name, value) in fields {
            if case .none = value { continue }
            line += ",\"\(name)\":"
            switch value {
            case .none: break
            case .string(let text): JSONText.appendQuoted(text, to: &line)
            case .int(let number): line += String(number)
            case .double(let number): line += number.isFinite ? String(number) : "null"
            case .bool(let flag): line += flag ? "true" : "false"
            }
        }
        line += "}\n"
        line.withUTF8 { write(lines: UnsafeRawBufferPointer($0)) }
    }

    /// Writes whole lines that the caller has put together, for what is logged too often to be written one by one.
    package func write(lines: UnsafeRawBufferPointer) {
        var rest = lines
        while let base = rest.baseAddress, !rest.isEmpty {
            let written = Glibc.write(descriptor, base, rest.count)
            if written < 0, errno != EINTR { return }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(max(written, 0)))
        }
    }
}
