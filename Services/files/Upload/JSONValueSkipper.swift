/// Passes over one JSON value incrementally (RFC 8259 §3–§6) without keeping it, and checks its grammar.
///
/// An upload's document may have members that this version does not know; they must be JSON and small.
struct JSONValueSkipper {
    /// The most bytes that all skipped values of a document have together.
    static let bytesMax = 65_536
    /// The deepest nesting.
    static let depthMax = 32
    /// The longest number.
    static let tokenBytesMax = 64

    private enum Container { case object, array }

    private enum Expectation {
        case value, valueOrEnd, key, keyOrEnd, colon, commaOrEnd
        case string(JSONStringScanner, isKey: Bool)
        case token
    }

    private var containers: [Container] = []
    private var expectation = Expectation.value
    private var text: [UInt8] = []
    private var bytesLeft = JSONValueSkipper.bytesMax
    private let name = "unknown members"

    /// Makes ready for the next value; the bytes already skipped stay counted.
    mutating func begin() {
        containers.removeAll(keepingCapacity: true)
        expectation = .value
        text.removeAll(keepingCapacity: true)
    }

    /// Passes over what `bytes` holds of the value.
    ///
    /// - Parameters:
    ///   - bytes: The document's bytes.
    ///   - index: Where to start; afterwards behind what was consumed.
    /// - Returns: Whether the value ended. What ends a number is not consumed.
    /// - Throws: `FilesError.malformedDocument`, or `.tooLarge` past `bytesMax`.
    mutating func scan(_ bytes: [UInt8], from index: inout Int) throws(FilesError) -> Bool {
        let start = index
        defer { bytesLeft -= index - start }
        while index < bytes.count {
            guard index - start < bytesLeft else { throw .tooLarge(name: name, bytesMax: Self.bytesMax) }
            switch expectation {
            case .string(var scanner, let isKey):
                let ended = try scanner.scan(bytes, from: &index, into: &text)
                guard index - start <= bytesLeft else { throw .tooLarge(name: name, bytesMax: Self.bytesMax) }
                expectation = .string(scanner, isKey: isKey)
                guard ended else { return false }
                try endString(isKey: isKey)
            case .token:
                if Self.isTokenByte(bytes[index]) {
                    text.append(bytes[index])
                    guard text.count <= Self.tokenBytesMax else { throw Self.badValue }
                    index += 1
                    continue
                }
                try endToken()
            default:
                let byte = bytes[index]
                index += 1
                guard !Self.isWhitespace(byte) else { continue }
                try step(byte)
            }
            if case .commaOrEnd = expectation, containers.isEmpty { return true }
        }
        return false
    }

    /// JSON's white space.
    static func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// Whether a JSON value may begin with `byte`.
    static func beginsValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "-"), UInt8(ascii: "t"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }

    // MARK: -

    private static let badValue = FilesError.malformedDocument("body: not a JSON value")

    private mutating func step(_ byte: UInt8) throws(FilesError) {
        switch (expectation, byte) {
        case (.value, _), (.valueOrEnd, _):
            if case .valueOrEnd = expectation, byte == UInt8(ascii: "]") { return end(.array) }
            try beginValue(byte)
        case (.keyOrEnd, UInt8(ascii: "}")): end(.object)
        case (.key, UInt8(ascii: "\"")), (.keyOrEnd, UInt8(ascii: "\"")):
            expectation = .string(JSONStringScanner(), isKey: true)
        case (.colon, UInt8(ascii: ":")): expectation = .value
        case (.commaOrEnd, UInt8(ascii: ",")): expectation = containers.last == .object ? .key : .value
        case (.commaOrEnd, UInt8(ascii: "}")) where containers.last == .object: end(.object)
        case (.commaOrEnd, UInt8(ascii: "]")) where containers.last == .array: end(.array)
        default: throw Self.badValue
        }
    }

    private mutating func beginValue(_ byte: UInt8) throws(FilesError) {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard containers.count < Self.depthMax else {
                throw .malformedDocument("body: nested more than \(Self.depthMax) deep")
            }
            containers.append(byte == UInt8(ascii: "{") ? .object : .array)
            expectation = byte == UInt8(ascii: "{") ? .keyOrEnd : .valueOrEnd
        case UInt8(ascii: "\""):
            expectation = .string(JSONStringScanner(), isKey: false)
        default:
            guard Self.beginsValue(byte) else { throw Self.badValue }
            text.append(byte)
            expectation = .token
        }
    }

    private mutating func end(_ container: Container) {
        containers.removeLast()
        expectation = .commaOrEnd
    }

    private mutating func endString(isKey: Bool) throws(FilesError) {
        guard String(validating: text, as: UTF8.self) != nil else {
            throw .malformedDocument("body: a string is not UTF-8")
        }
        text.removeAll(keepingCapacity: true)
        expectation = isKey ? .colon : .commaOrEnd
    }

    private mutating func endToken() throws(FilesError) {
        let isLiteral = text.elementsEqual("true".utf8) || text.elementsEqual("false".utf8)
        guard isLiteral || text.elementsEqual("null".utf8) || Self.isNumber(text) else { throw Self.badValue }
        text.removeAll(keepingCapacity: true)
        expectation = .commaOrEnd
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// Whether `text` is a JSON number.
    ///
    /// `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`
    static func isNumber(_ text: [UInt8]) -> Bool {
        var rest = text[...]
        func digits(_ rest: inout ArraySlice<UInt8>) -> Int {
            let count = rest.prefix(while: isDigit).count
            rest.removeFirst(count)
            return count
        }
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        let startsWithZero = rest.first == UInt8(ascii: "0")
        let whole = digits(&rest)
        guard whole > 0, !startsWithZero || whole == 1 else { return false }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard digits(&rest) > 0 else { return false }
        }
        if let e = rest.first, e | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { rest.removeFirst() }
            guard digits(&rest) > 0 else { return false }
        }
        return rest.isEmpty
    }
}
