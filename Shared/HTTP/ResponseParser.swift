/// Parses a server's byte stream into responses (RFC 9112), as strictly as `RequestParser`.
///
/// Call `begin` for each request sent, since the request's method says whether a body follows. Interim (1xx)
/// responses are skipped, 101 apart. An error is sticky.
package struct ResponseParser: Sendable {
    /// What `next` found.
    package enum Event: Sendable, Equatable {
        case head(ResponseHead, BodyFraming)
        /// Some bytes of the body, never none.
        case body([UInt8])
        /// The response is complete.
        case end
    }

    private enum State: Sendable {
        case idle
        case statusLine
        case fields(Status, minorVersion: Int, FieldSection)
        case body(BodyReader)
        case failed(HTTPParseError)
    }

    private var buffer = InputBuffer()
    private var state = State.idle
    private var method = Method.get
    private var interimResponses = 0
    private var atEnd = false
    private let limits: HTTPLimits

    package init(limits: HTTPLimits = HTTPLimits()) { self.limits = limits }

    /// How many bytes wait in the parser; between responses there should be none.
    package var bufferedBytes: Int { buffer.count }

    /// Expects the response to a request of this method.
    package mutating func begin(_ method: Method) {
        guard case .idle = state else { return }
        self.method = method
        interimResponses = 0
        state = .statusLine
    }

    /// Adds input, which is dropped after an error.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        if case .failed = state { return }
        buffer.append(bytes)
    }

    /// Adds input, which is dropped after an error.
    package mutating func feed(_ bytes: [UInt8]) { bytes.withUnsafeBytes { feed($0) } }

    /// Says that the server has closed: ends a body without a length; anything else in progress is `.truncated`.
    package mutating func finish() { atEnd = true }

    /// The next event.
    ///
    /// - Returns: `nil` when more bytes are needed, or no response is expected.
    /// - Throws: What is wrong; again at every later call.
    package mutating func next() throws(HTTPParseError) -> Event? {
        do throws(HTTPParseError) {
            if let event = try step() { return event }
            guard atEnd else { return nil }
            switch state {
            case .idle: return nil
            case .body(let reader) where reader.endsAtClose:
                state = .idle
                return .end
            default: throw .truncated
            }
        } catch {
            state = .failed(error)
            buffer.removeAll()
            throw error
        }
    }

    private mutating func step() throws(HTTPParseError) -> Event? {
        while true {
            switch state {
            case .idle: return nil
            case .statusLine:
                let line = try buffer.takeLine(bytesMax: limits.requestLineBytesMax, tooLong: .malformedStatusLine) {
                    (line) throws(HTTPParseError) in try Self.parseStatusLine(line)
                }
                guard let line else { return nil }
                let section = FieldSection(bytesMax: limits.headerBytesMax, countMax: limits.headerCountMax)
                state = .fields(line.status, minorVersion: line.minorVersion, section)
            case .fields(let status, let minorVersion, var section):
                guard try section.read(&buffer) else {
                    state = .fields(status, minorVersion: minorVersion, section)
                    return nil
                }
                let head = ResponseHead(status: status, minorVersion: minorVersion, headers: section.headers)
                if status.isInformational, status.code != 101 {
                    interimResponses += 1
                    guard interimResponses <= limits.interimResponsesMax else { throw .tooManyInterimResponses }
                    state = .statusLine
                    continue
                }
                let framing = try BodyFraming.ofResponse(head, to: method)
                state = .body(BodyReader(framing, limits: limits))
                return .head(head, framing)
            case .body(var reader):
                let event = try reader.next(&buffer)
                state = event == .end ? .idle : .body(reader)
                return event.map { if case .data(let bytes) = $0 { .body(bytes) } else { .end } }
            case .failed(let error): throw error
            }
        }
    }

    /// Reads `HTTP/1.x SP 3DIGIT SP [reason]`; the space before a missing reason may be missing too.
    private static func parseStatusLine(
        _ line: UnsafeRawBufferPointer
    ) throws(HTTPParseError) -> (status: Status, minorVersion: Int) {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard line.count >= 12, line.starts(with: "HTTP/".utf8), line[6] == UInt8(ascii: "."), digits.contains(line[5]),
            digits.contains(line[7]), line[8] == UInt8(ascii: " ")
        else { throw .malformedStatusLine }
        guard line[5] == UInt8(ascii: "1") else { throw .unsupportedVersion }
        guard line[9..<12].allSatisfy(digits.contains), line.count == 12 || line[12] == UInt8(ascii: " "),
            line[12...].allSatisfy(Token.isFieldValueByte)
        else { throw .malformedStatusLine }
        let code = line[9..<12].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        guard (100...599).contains(code) else { throw .malformedStatusLine }
        return (Status(code), line[7] == UInt8(ascii: "0") ? 0 : 1)
    }
}
