/// Decodes the chunked transfer coding (RFC 9112 §7.1).
///
///     chunked-body = *chunk last-chunk trailer-section CRLF
///     chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
///     last-chunk   = 1*"0" [ chunk-ext ] CRLF
///
/// Extensions are ignored, trailer fields checked and dropped, both bounded.
package struct ChunkedDecoder: Sendable {
    private enum State: Sendable {
        case size
        case data(remaining: Int)
        case dataEnd
        case trailers(FieldSection)
        case end
    }

    /// What `next` found.
    package enum Event: Sendable, Equatable {
        /// Some bytes of the body, never none.
        case data([UInt8])
        /// The body is complete; what follows belongs to the next message.
        case end
    }

    private var state = State.size
    private let limits: HTTPLimits
    /// The bytes of chunk lines so far beyond what their chunks pay for.
    private var overheadBytes = 0
    /// Fifteen hexadecimal digits fit into an `Int` with room to spare.
    private static let sizeDigitsMax = 15

    package init(limits: HTTPLimits = HTTPLimits()) { self.limits = limits }

    /// The next part of the body.
    ///
    /// - Parameter buffer: What belongs to the body is consumed from it.
    /// - Returns: `nil` when more bytes are needed.
    /// - Throws: What is wrong with the coding; the decoder is not to be used afterwards.
    package mutating func next(_ buffer: inout InputBuffer) throws(HTTPParseError) -> Event? {
        while true {
            switch state {
            case .size:
                guard let size = try readSize(&buffer) else { return nil }
                state =
                    size > 0
                    ? .data(remaining: size)
                    : .trailers(FieldSection(bytesMax: limits.trailerBytesMax, countMax: limits.headerCountMax))
            case .data(let remaining):
                if buffer.isEmpty { return nil }
                let piece = buffer.take(upTo: remaining)
                state = piece.count == remaining ? .dataEnd : .data(remaining: remaining - piece.count)
                return .data(piece)
            case .dataEnd:
                let found: Void? = try buffer.takeLine(bytesMax: 0, tooLong: .missingChunkEnd) { _ in }
                guard found != nil else { return nil }
                state = .size
            case .trailers(var section):
                let complete = try section.read(&buffer)
                state = complete ? .end : .trailers(section)
                if !complete { return nil }
            case .end:
                return .end
            }
        }
    }

    private mutating func readSize(_ buffer: inout InputBuffer) throws(HTTPParseError) -> Int? {
        let parsed = try buffer.takeLine(bytesMax: limits.chunkLineBytesMax, tooLong: .chunkLineTooLong) {
            (line) throws(HTTPParseError) -> (size: Int, byteCount: Int) in
            (try Self.parse(line), line.count + 2)
        }
        guard let (size, byteCount) = parsed else { return nil }
        overheadBytes = max(0, overheadBytes + byteCount - 16 - 2 * min(size, limits.chunkOverheadBytesMax))
        guard overheadBytes <= limits.chunkOverheadBytesMax else { throw .chunkOverheadTooLarge }
        return size
    }

    private static func parse(_ line: UnsafeRawBufferPointer) throws(HTTPParseError) -> Int {
        var size = 0
        var digits = 0
        while digits < line.count, let value = PercentEncoding.hexValue(line[digits]) {
            guard digits < sizeDigitsMax else { throw .chunkTooLarge }
            size = size << 4 | Int(value)
            digits += 1
        }
        guard digits > 0 else { throw .invalidChunkSize }
        let rest = line[digits...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        // White space is part of an extension only; after a bare size it is refused (RFC 9112 §7.1.1).
        guard digits < line.count else { return size }
        guard rest.first == UInt8(ascii: ";") else { throw .invalidChunkSize }
        guard rest.allSatisfy(Token.isFieldValueByte) else { throw .invalidChunkExtension }
        return size
    }
}
