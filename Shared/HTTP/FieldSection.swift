/// Reads a header or trailer section line by line (RFC 9112 §5).
///
///     field-line = field-name ":" OWS field-value OWS
struct FieldSection: Sendable {
    private(set) var headers = Headers()
    /// The bytes of the lines so far, CRLFs included.
    private var byteCount = 0
    private let bytesMax: Int
    private let countMax: Int

    init(bytesMax: Int, countMax: Int) {
        self.bytesMax = bytesMax
        self.countMax = countMax
    }

    /// Reads what lines there are.
    ///
    /// - Parameter buffer: Its lines are consumed.
    /// - Returns: Whether the empty line that ends the section came.
    /// - Throws: What is wrong with a line, or 431 for too many bytes or fields.
    mutating func read(_ buffer: inout InputBuffer) throws(HTTPParseError) -> Bool {
        while true {
            let lineMax = max(bytesMax - byteCount - 2, 0)
            let line = try buffer.takeLine(bytesMax: lineMax, tooLong: .headersTooLarge) {
                (line) throws(HTTPParseError) -> (field: Headers.Field?, byteCount: Int) in
                (line.isEmpty ? nil : try Self.parse(line), line.count + 2)
            }
            guard let line else { return false }
            guard let field = line.field else { return true }
            guard headers.fields.count < countMax else { throw .tooManyHeaders }
            headers.add(field.name, field.value)
            byteCount += line.byteCount
        }
    }

    private static func parse(_ line: UnsafeRawBufferPointer) throws(HTTPParseError) -> Headers.Field {
        guard line[0] != UInt8(ascii: " "), line[0] != UInt8(ascii: "\t") else { throw .foldedHeader }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0,
            line[..<colon].allSatisfy(Token.isTokenByte)
        else { throw .invalidFieldName }
        var value = line[(colon + 1)...]
        while let first = value.first, first == UInt8(ascii: " ") || first == UInt8(ascii: "\t") { value.removeFirst() }
        while let last = value.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") { value.removeLast() }
        guard value.allSatisfy(Token.isFieldValueByte) else { throw .invalidFieldValue }
        return Headers.Field(
            name: String(decoding: line[..<colon], as: UTF8.self),
            value: String(decoding: value, as: UTF8.self)
        )
    }
}
