/// Header fields in the order they came, names compared case-insensitively (RFC 9110 §5.1).
///
/// Fields that repeat stay apart.
package struct Headers: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    /// One field line.
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: String
    }

    package private(set) var fields: [Field] = []

    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    /// The first value of `name`; setting replaces every field of that name, `nil` removes them.
    package subscript(_ name: String) -> String? {
        get { fields.first { Self.equal($0.name, name) }?.value }
        set {
            fields.removeAll { Self.equal($0.name, name) }
            if let newValue { fields.append(Field(name: name, value: newValue)) }
        }
    }

    /// Adds a field, keeping others of that name.
    package mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: name, value: value))
    }

    /// Every value of `name`, in order.
    package func values(_ name: String) -> [String] {
        fields.filter { Self.equal($0.name, name) }.map(\.value)
    }

    /// The members of a comma-separated list field (RFC 9110 §5.6.1) over all its lines, trimmed, without empty ones.
    ///
    /// Split by bytes: values need not be ASCII, and `Character`s are compared by Unicode's equivalence, for which a
    /// run of combining marks takes the square of its length.
    package func list(_ name: String) -> [Substring] {
        values(name).flatMap { value in
            value.utf8.split(separator: UInt8(ascii: ",")).map { Self.trim($0) }.filter { !$0.isEmpty }
        }
    }

    /// Whether the list field `name` has `token`, compared case-insensitively.
    package func contains(_ name: String, token: String) -> Bool {
        list(name).contains { Self.equal($0, token) }
    }

    /// ASCII case-insensitive comparison.
    package static func equal(_ a: some StringProtocol, _ b: some StringProtocol) -> Bool {
        equal(String(a), String(b))
    }

    /// The same for whole strings: every look-up of a field comes here, so it works on their bytes in place.
    package static func equal(_ a: String, _ b: String) -> Bool {
        let (a, b) = (a.utf8.span, b.utf8.span)
        guard a.count == b.count else { return false }
        for index in a.indices where a[index] != b[index] && lowercase(a[index]) != lowercase(b[index]) {
            return false
        }
        return true
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func trim(_ text: Substring.UTF8View) -> Substring {
        func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        var result = text.drop(while: isSpace)
        while let last = result.last, isSpace(last) { result.removeLast() }
        return Substring(result)
    }
}
