/// Parses a client's byte stream into requests (RFC 9112), strictly and without I/O.
///
/// Feed any split of the stream; each request comes out as its head, pieces of its body and its end. What is
/// ambiguous is refused: a proxy in front might have read it otherwise. An error is sticky.
package struct RequestParser: Sendable {
    /// What `next` found.
    package enum Event: Sendable, Equatable {
        case head(RequestHead, BodyFraming)
        /// Some bytes of the body, never none.
        case body([UInt8])
        /// The request is complete. The next call starts the next one.
        case end
    }

    private enum State: Sendable {
        case requestLine
        case fields(RequestLine.Parsed, FieldSection)
        case body(BodyReader)
        case failed(HTTPParseError)
    }

    private var buffer = InputBuffer()
    private var state = State.requestLine
    private var leadingEmptyLines = 0
    private let limits: HTTPLimits

    package init(limits: HTTPLimits = HTTPLimits()) { self.limits = limits }

    /// How many bytes wait in the parser.
    package var bufferedBytes: Int { buffer.count }

    /// Whether nothing of the next request has come.
    package var isBetweenRequests: Bool { if case .requestLine = state { buffer.isEmpty } else { false } }

    /// Whether a request's head came and its end has not been given out.
    package var isInBody: Bool { if case .body = state { true } else { false } }

    /// Adds input, which is dropped after an error.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) {
        if case .failed = state { return }
        buffer.append(bytes)
    }

    /// Adds input, which is dropped after an error.
    package mutating func feed(_ bytes: [UInt8]) { bytes.withUnsafeBytes { feed($0) } }

    /// Takes what was fed and not consumed, for a protocol that the connection changes to.
    package mutating func takeBuffered() -> [UInt8] { buffer.take(upTo: .max) }

    /// The next event.
    ///
    /// - Returns: `nil` when more bytes are needed.
    /// - Throws: What is wrong, with its status; again at every later call.
    package mutating func next() throws(HTTPParseError) -> Event? {
        do throws(HTTPParseError) {
            while true {
                switch state {
                case .requestLine:
                    guard try readRequestLine() else { return nil }
                case .fields(let line, var section):
                    state = .requestLine
                    let complete = try section.read(&buffer)
                    guard complete else {
                        state = .fields(line, section)
                        return nil
                    }
                    return try finishHead(line, section.headers)
                case .body(var reader):
                    let event = try reader.next(&buffer)
                    state = event == .end ? .requestLine : .body(reader)
                    return event.map { if case .data(let bytes) = $0 { .body(bytes) } else { .end } }
                case .failed(let error):
                    throw error
                }
            }
        } catch {
            state = .failed(error)
            buffer.removeAll()
            throw error
        }
    }

    private mutating func readRequestLine() throws(HTTPParseError) -> Bool {
        while true {
            let line = try buffer.takeLine(bytesMax: limits.requestLineBytesMax, tooLong: .requestLineTooLong) {
                (line) throws(HTTPParseError) -> RequestLine.Parsed? in
                line.isEmpty ? nil : try RequestLine.parse(line)
            }
            guard let line else { return false }
            if let parsed = line {
                leadingEmptyLines = 0
                state = .fields(
                    parsed,
                    FieldSection(bytesMax: limits.headerBytesMax, countMax: limits.headerCountMax)
                )
                return true
            }
            leadingEmptyLines += 1
            guard leadingEmptyLines <= limits.leadingEmptyLinesMax else { throw .tooManyLeadingEmptyLines }
        }
    }

    private mutating func finishHead(
        _ line: RequestLine.Parsed,
        _ fields: Headers
    ) throws(HTTPParseError) -> Event {
        var headers = fields
        let hosts = headers.values("Host")
        guard hosts.count <= 1 else { throw .repeatedHost }
        if let host = hosts.first {
            guard HostField.isValid(host) else { throw .invalidHost }
        } else if line.minorVersion > 0 {
            throw .missingHost
        }
        if let authority = line.authority { headers["Host"] = authority }
        let framing = try BodyFraming.ofRequest(headers, minorVersion: line.minorVersion)
        let head = RequestHead(
            method: line.method,
            target: line.target,
            minorVersion: line.minorVersion,
            headers: headers
        )
        if line.minorVersion > 0, let expectation = headers["Expect"], !Headers.equal(expectation, "100-continue") {
            throw .unsupportedExpectation
        }
        state = .body(BodyReader(framing, limits: limits))
        return .head(head, framing)
    }
}
