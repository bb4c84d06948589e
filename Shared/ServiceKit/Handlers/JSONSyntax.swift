/// Checks that bytes are one JSON text (RFC 8259) and says where they stop being one.
///
/// Foundation's decoder takes trailing commas, gives no position, and calls a number that does not fit its type
/// "not valid JSON"; with the syntax checked before, whatever it refuses is a matter of the members.
struct JSONSyntax {
    /// The deepest nesting of objects and lists.
    static let depthMax = 64
    /// The longest member name, in bytes of its text, escapes as they are.
    ///
    /// Names become keys of dictionaries, and to hash a `String` takes the square of a run of combining marks.
    static let nameBytesMax = 256

    /// What is wrong, and at which byte.
    enum Fault: Equatable {
        case noJSON(at: Int)
        case nameTooLong(at: Int)
    }

    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0
    private var longName: Int?

    private init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    /// Where the text goes wrong.
    ///
    /// - Parameter bytes: Valid UTF-8.
    /// - Returns: The first byte that does not fit, `bytes.count` when the text ends too early; `nil` when all is well.
    static func firstFault(in bytes: [UInt8]) -> Fault? {
        bytes.withUnsafeBufferPointer { buffer in
            var syntax = JSONSyntax(buffer)
            syntax.skipSpace()
            guard syntax.value(depth: 0) else {
                return syntax.longName.map { .nameTooLong(at: $0) } ?? .noJSON(at: syntax.position)
            }
            syntax.skipSpace()
            return syntax.position == buffer.count ? nil : .noJSON(at: syntax.position)
        }
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func value(depth: Int) -> Bool {
        switch current {
        case UInt8(ascii: "{"):
            return depth < Self.depthMax
                && list(end: "}") { syntax in
                    guard syntax.name() else { return false }
                    syntax.skipSpace()
                    guard syntax.take(":") else { return false }
                    syntax.skipSpace()
                    return syntax.value(depth: depth + 1)
                }
        case UInt8(ascii: "["): return depth < Self.depthMax && list(end: "]") { $0.value(depth: depth + 1) }
        case UInt8(ascii: "\""): return string()
        case UInt8(ascii: "t"): return literal("true")
        case UInt8(ascii: "f"): return literal("false")
        case UInt8(ascii: "n"): return literal("null")
        default: return number()
        }
    }

    /// Items between the opening byte, which comes next, and `end`.
    private mutating func list(end: Unicode.Scalar, item: (inout JSONSyntax) -> Bool) -> Bool {
        position += 1
        skipSpace()
        if take(end) { return true }
        while true {
            guard item(&self) else { return false }
            skipSpace()
            if take(end) { return true }
            guard take(",") else { return false }
            skipSpace()
        }
    }

    private mutating func literal(_ text: StaticString) -> Bool {
        for offset in 0..<text.utf8CodeUnitCount {
            guard current == text.utf8Start[offset] else { return false }
            position += 1
        }
        return true
    }

    private mutating func name() -> Bool {
        let start = position
        guard string() else { return false }
        // Without its two quotation marks.
        guard position - start - 2 <= Self.nameBytesMax else {
            longName = start
            return false
        }
        return true
    }

    private mutating func string() -> Bool {
        guard take("\"") else { return false }
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return true
            case UInt8(ascii: "\\"):
                position += 1
                guard escape() else { return false }
            case 0..<0x20: return false
            default: position += 1
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard take("u") else {
            guard let byte = current, "\"\\/bfnrt".utf8.contains(byte) else { return false }
            position += 1
            return true
        }
        for _ in 0..<4 {
            switch current {
            case (0x30...0x39)?, (0x41...0x46)?, (0x61...0x66)?: position += 1
            default: return false
            }
        }
        return true
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") {
            guard digits() else { return false }
        }
        if take(".") {
            guard digits() else { return false }
        }
        if take("e") || take("E") {
            _ = take("+") || take("-")
            guard digits() else { return false }
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = position
        while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
        return position > start
    }
}
