/// A value as it stands in the text.
struct JSONSlice {
    enum Kind { case string, number, `true`, `false`, null, object, array }

    /// A whole number further from zero counts as that far: past every sequence and every limit.
    static let wholeNumberMax = 1 << 32

    /// A string's bytes between the quotes, escapes and all; any other value's whole text.
    let bytes: UnsafeRawBufferPointer
    let kind: Kind
    /// Whether a string has `\` escapes.
    let hasEscapes: Bool

    init(kind: Kind, bytes: UnsafeRawBufferPointer, hasEscapes: Bool) {
        self.bytes = bytes
        self.kind = kind
        self.hasEscapes = hasEscapes
    }

    /// A string's value.
    var text: String {
        hasEscapes ? JSONEscapes.decode(bytes) : String(decoding: bytes, as: UTF8.self)
    }

    /// A number's value within ±`wholeNumberMax`; `nil` for one with a fraction, and for any other value.
    ///
    /// However it is written: `17`, `17.0` and `1.7e1` are the same number (RFC 8259 §6).
    var wholeNumber: Int? {
        guard kind == .number else { return nil }
        let isNegative = bytes.first == UInt8(ascii: "-")
        var value = 0
        for byte in bytes.dropFirst(isNegative ? 1 : 0) {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return wholeNumberByFloat }
            value = min(value * 10 + Int(digit), Self.wholeNumberMax)
        }
        return isNegative ? -value : value
    }

    /// The same for one with a fraction or an exponent.
    private var wholeNumberByFloat: Int? {
        guard let value = Double(text), value.rounded() == value else { return nil }
        let limit = Double(Self.wholeNumberMax)
        return Int(min(max(value, -limit), limit))
    }

    /// Whether a name without escapes has this spelling.
    @inline(__always)
    func equals(_ word: StaticString) -> Bool {
        guard word.utf8CodeUnitCount == bytes.count, !hasEscapes else { return false }
        for index in 0..<bytes.count where bytes[index] != word.utf8Start[index] { return false }
        return true
    }

    /// Gives a string's UTF-8 to `body`; a copy only when it has escapes.
    func withoutEscapes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        hasEscapes ? Array(text.utf8).withUnsafeBytes(body) : body(bytes)
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the bytes are this word, all letters, in any case.
    func equalsIgnoringCase(_ word: StaticString) -> Bool {
        guard word.utf8CodeUnitCount == count else { return false }
        for index in 0..<count where self[index] | 0x20 != word.utf8Start[index] | 0x20 { return false }
        return true
    }
}
