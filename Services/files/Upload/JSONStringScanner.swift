/// Reads the characters of a JSON string incrementally (RFC 8259 §7), from behind the opening quote to the
/// closing one, and undoes its escapes.
///
/// UTF-8 is passed through unchecked: who keeps the text checks it whole.
struct JSONStringScanner {
    private enum State {
        case plain
        case escape
        /// `digits` of four hexadecimal digits came so far; `high` is a surrogate that waits for its other half.
        case unicode(digits: Int, value: UInt32, high: UInt32?)
        case lowSurrogateBackslash(high: UInt32)
        case lowSurrogateLetter(high: UInt32)
    }

    private var state = State.plain

    /// Appends what `bytes` holds of the string to `output`.
    ///
    /// - Parameters:
    ///   - bytes: The document's bytes.
    ///   - index: Where to start; afterwards behind what was consumed, the closing quote included.
    ///   - output: Gets the unescaped bytes.
    /// - Returns: Whether the string ended.
    /// - Throws: `FilesError.malformedDocument`.
    mutating func scan(
        _ bytes: [UInt8],
        from index: inout Int,
        into output: inout [UInt8]
    ) throws(FilesError) -> Bool {
        while index < bytes.count {
            switch state {
            case .plain:
                let start = index
                while index < bytes.count, Self.isPlain(bytes[index]) { index += 1 }
                if index > start { output += bytes[start..<index] }
                guard index < bytes.count else { return false }
                let byte = bytes[index]
                index += 1
                if byte == UInt8(ascii: "\"") { return true }
                guard byte == UInt8(ascii: "\\") else {
                    throw .malformedDocument("body: a control character in a string is not escaped")
                }
                state = .escape
            case .escape:
                try scanEscape(bytes[index], into: &output)
                index += 1
            case .unicode(let digits, let value, let high):
                try scanUnicode(bytes[index], digits: digits, value: value, high: high, into: &output)
                index += 1
            case .lowSurrogateBackslash(let high):
                guard bytes[index] == UInt8(ascii: "\\") else { throw Self.unpaired }
                index += 1
                state = .lowSurrogateLetter(high: high)
            case .lowSurrogateLetter(let high):
                guard bytes[index] == UInt8(ascii: "u") else { throw Self.unpaired }
                index += 1
                state = .unicode(digits: 0, value: 0, high: high)
            }
        }
        return false
    }

    // MARK: -

    private static let unpaired = FilesError.malformedDocument("body: a string has half of a surrogate pair")

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private mutating func scanEscape(_ byte: UInt8, into output: inout [UInt8]) throws(FilesError) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): output.append(byte)
        case UInt8(ascii: "b"): output.append(0x08)
        case UInt8(ascii: "f"): output.append(0x0C)
        case UInt8(ascii: "n"): output.append(0x0A)
        case UInt8(ascii: "r"): output.append(0x0D)
        case UInt8(ascii: "t"): output.append(0x09)
        case UInt8(ascii: "u"):
            state = .unicode(digits: 0, value: 0, high: nil)
            return
        default: throw .malformedDocument("body: a string has an unknown escape")
        }
        state = .plain
    }

    private mutating func scanUnicode(
        _ byte: UInt8,
        digits: Int,
        value: UInt32,
        high: UInt32?,
        into output: inout [UInt8]
    ) throws(FilesError) {
        guard let digit = Self.hexadecimalDigit(byte) else {
            throw .malformedDocument("body: a \\u escape needs four hexadecimal digits")
        }
        let value = value << 4 | digit
        guard digits == 3 else {
            state = .unicode(digits: digits + 1, value: value, high: high)
            return
        }
        switch (value, high) {
        case (0xDC00...0xDFFF, let high?):
            append(0x10000 + (high - 0xD800) << 10 + (value - 0xDC00), to: &output)
        case (_, .some), (0xDC00...0xDFFF, nil):
            throw Self.unpaired
        case (0xD800...0xDBFF, nil):
            state = .lowSurrogateBackslash(high: value)
            return
        case (_, nil):
            append(value, to: &output)
        }
        state = .plain
    }

    private func append(_ value: UInt32, to output: inout [UInt8]) {
        guard let scalar = Unicode.Scalar(value) else { return }
        output += Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    private static func hexadecimalDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
