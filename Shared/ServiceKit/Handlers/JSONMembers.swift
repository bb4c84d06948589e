package import Core
package import HTTP

/// The members of a request's JSON object, read one by one; what is wrong with any of them ends in one answer.
///
/// ```swift
/// var members = try await request.jsonMembers(upTo: 16_384)
/// let name = members.string("user_name", isRequired: true)
/// let capacity = members.integer("capacity", in: 1...1000)
/// try members.finish()
/// ```
package struct JSONMembers {
    private let values: [String: JSONValue]
    private var asked: Set<String> = []
    /// What was found wrong so far.
    package private(set) var errors: [Problem.FieldError] = []

    /// - Parameter bytes: The body.
    /// - Throws: `Problem` 400 `malformed_json`; 422 when it is no object.
    package init(_ bytes: [UInt8]) throws {
        guard case .object(let values) = try JSONBody.decode(JSONValue.self, from: bytes) else {
            throw Problem.invalidField("body", "must be an object")
        }
        self.values = values
    }

    /// Whether the member is there, `null` included.
    package mutating func has(_ name: String) -> Bool {
        asked.insert(name)
        return values[name] != nil
    }

    /// Whether the member is there and `null`.
    package mutating func isNull(_ name: String) -> Bool {
        asked.insert(name)
        return values[name] == .null
    }

    /// A string; `nil` when it is left out, or wrong.
    package mutating func string(_ name: String, isRequired: Bool = false) -> String? {
        read(name, isRequired, "must be a string") { if case .string(let text) = $0 { text } else { nil } }
    }

    /// `true` or `false`; `nil` when it is left out, or wrong.
    package mutating func boolean(_ name: String, isRequired: Bool = false) -> Bool? {
        read(name, isRequired, "must be true or false") { if case .boolean(let value) = $0 { value } else { nil } }
    }

    /// A whole number of `range`; `nil` when it is left out, or wrong.
    package mutating func integer(_ name: String, in range: ClosedRange<Int>, isRequired: Bool = false) -> Int? {
        let rule = "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        return read(name, isRequired, rule) { value in
            if case .integer(let number) = value, range.contains(number) { number } else { nil }
        }
    }

    /// Notes that a member breaks a rule.
    ///
    /// - Parameter rule: `must …`, `is …`.
    package mutating func refuse(_ name: String, _ rule: String) {
        guard !errors.contains(where: { $0.field == name }) else { return }
        errors.append(Problem.FieldError(name, rule))
    }

    /// Refuses members that nobody has asked for.
    ///
    /// - Throws: `Problem` 422 that names every member with its rule, if there are any.
    package mutating func finish() throws(Problem) {
        for name in values.keys.filter({ !asked.contains($0) }).sorted().prefix(Self.unknownMax) {
            refuse(String(name.unicodeScalars.prefix(Self.nameScalarsMax)), "is not a member of this request")
        }
        guard errors.isEmpty else { throw .invalidFields(errors) }
    }

    /// Unknown members that are named, and of a name.
    private static let unknownMax = 20
    private static let nameScalarsMax = 64

    private mutating func read<Value>(
        _ name: String,
        _ isRequired: Bool,
        _ rule: String,
        _ take: (JSONValue) -> Value?
    ) -> Value? {
        asked.insert(name)
        guard let value = values[name] else {
            if isRequired { refuse(name, "is required") }
            return nil
        }
        let taken = take(value)
        if taken == nil { refuse(name, value == .null ? "must not be null" : rule) }
        return taken
    }
}

extension Request {
    /// The body's members.
    ///
    /// - Throws: As `json`, for the body as a whole.
    package func jsonMembers(upTo bytesMax: Int) async throws -> JSONMembers {
        try JSONMembers(try await jsonBytes(upTo: bytesMax))
    }
}

/// Any JSON value; numbers that are no whole `Int` are only known as such.
private enum JSONValue: Decodable, Sendable, Equatable {
    case null
    case boolean(Bool)
    case integer(Int)
    case number
    case string(String)
    case list
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let boolean = try? value.decode(Bool.self) {
            self = .boolean(boolean)
        } else if let integer = try? value.decode(Int.self) {
            self = .integer(integer)
        } else if let text = try? value.decode(String.self) {
            self = .string(text)
        } else if let members = try? value.decode([String: JSONValue].self) {
            self = .object(members)
        } else if (try? decoder.unkeyedContainer()) != nil {
            self = .list
        } else {
            self = .number
        }
    }
}
