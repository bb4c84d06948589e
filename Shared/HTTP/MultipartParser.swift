import Glibc

/// Reads a multipart body part by part as it arrives, in any split (RFC 2046 §5.1, RFC 7578).
///
///     multipart-body = [preamble CRLF] dash-boundary padding CRLF part *(delimiter padding CRLF part)
///                      delimiter "--" padding [CRLF epilogue]
///     delimiter      = CRLF dash-boundary
///     dash-boundary  = "--" boundary
///
/// `feed` bytes, ask `next` until it is `nil`, call `finish` at the end of the body. What is not certain to be
/// content is held back, at most a delimiter's length. Lines end in CRLF alone. A delimiter in a part ends it wherever
/// a line begins so, as RFC 2046 says; what else then stands on its line is refused, and never taken for content, which
/// another reader might see otherwise. An error is sticky.
package struct MultipartParser: Sendable {
    /// What a sender may make the parser read or hold.
    package struct Limits: Sendable, Equatable {
        /// The longest boundary, in bytes (RFC 2046 §5.1.1).
        package static let boundaryBytesMax = 70

        /// A part's field lines with their CRLFs, without the empty line.
        package var partHeadBytesMax = 8192
        /// A part's field lines.
        package var partHeadFieldsMax = 16
        package var partsMax = 20
        /// What is skipped before the first boundary and behind the last, each.
        package var aroundBytesMax = 8192
        /// The white space behind a boundary.
        package var paddingBytesMax = 256

        package init() {}

        /// The longest body worth reading, in bytes, when its parts hold `contentBytesMax` in all.
        package func bodyBytesMax(contentBytesMax: Int) -> Int {
            let lineBytesMax = Self.boundaryBytesMax + paddingBytesMax + 8
            return contentBytesMax + partsMax * (partHeadBytesMax + 2 + lineBytesMax) + lineBytesMax + 2
                * aroundBytesMax
        }
    }

    /// What `next` found.
    package enum Event: Sendable, Equatable {
        /// A part begins, with these header fields.
        case part(Headers)
        /// Some bytes of the part, never none.
        case body([UInt8])
        /// The part is complete.
        case partEnd
    }

    private enum State: Sendable {
        case preamble
        case boundaryLine
        case head(FieldSection)
        case body
        case afterLast
        case epilogue
        case failed(MultipartError)
    }

    private enum Search {
        /// A delimiter of `length` bytes, `offset` bytes ahead.
        case found(offset: Int, length: Int)
        /// None begins within so many bytes.
        case none(count: Int)
    }

    private let limits: Limits
    private let delimiter: [UInt8]
    private var buffer = InputBuffer()
    private var state = State.preamble
    /// Whether a line begins here, so that a delimiter's CRLF has been read already: at the body's beginning and right
    /// behind a part's head.
    private var isAtLineStart = true
    private var partsCount = 0
    /// What was skipped so far of what is skipped now.
    private var aroundBytes = 0

    /// - Parameter boundary: The `boundary` of the body's `Content-Type`.
    /// - Throws: `.invalidBoundary`.
    package init(boundary: String, limits: Limits = Limits()) throws(MultipartError) {
        let bytes = Array(boundary.utf8)
        guard (1...Limits.boundaryBytesMax).contains(bytes.count), bytes.allSatisfy(Self.isBoundaryByte),
            bytes.last != UInt8(ascii: " ")
        else { throw .invalidBoundary }
        self.limits = limits
        delimiter = Array("\r\n--".utf8) + bytes
    }

    /// Takes the next bytes of the body, any number of them.
    package mutating func feed(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer.append($0) }
    }

    /// The next event.
    ///
    /// - Returns: `nil` when more bytes are needed.
    /// - Throws: What is wrong with the body; again at every later call.
    package mutating func next() throws(MultipartError) -> Event? {
        do throws(MultipartError) {
            return try advance()
        } catch {
            state = .failed(error)
            buffer.removeAll()
            throw error
        }
    }

    /// Ends the body; to be called when `next` has returned `nil`.
    ///
    /// - Throws: `.truncated` unless the last boundary has come, and what `next` has thrown.
    package func finish() throws(MultipartError) {
        switch state {
        case .afterLast where buffer.bytes[buffer.start...].allSatisfy(Self.isSpace): return
        case .epilogue: return
        case .failed(let error): throw error
        default: throw .truncated
        }
    }

    // MARK: -

    private mutating func advance() throws(MultipartError) -> Event? {
        while true {
            switch state {
            case .failed(let error): throw error
            case .preamble:
                guard try skipPreamble() else { return nil }
            case .boundaryLine:
                guard try readBoundaryLine() else { return nil }
            case .head(var section):
                // Not copied while it is read.
                state = .boundaryLine
                let isComplete: Bool
                do throws(HTTPParseError) {
                    isComplete = try section.read(&buffer)
                } catch {
                    throw .malformedPartHead(error)
                }
                guard isComplete else {
                    state = .head(section)
                    return nil
                }
                state = .body
                isAtLineStart = true
                return .part(section.headers)
            case .body:
                return takeBody()
            case .afterLast:
                guard try readLastLine() else { return nil }
            case .epilogue:
                try skip(buffer.count)
                return nil
            }
        }
    }

    private mutating func skipPreamble() throws(MultipartError) -> Bool {
        switch search() {
        case .none(let count):
            try skip(count)
            return false
        case .found(let offset, let length):
            try skip(offset)
            buffer.consume(length)
            state = .boundaryLine
            return true
        }
    }

    private mutating func takeBody() -> Event? {
        switch search() {
        case .none(let count):
            return count > 0 ? .body(buffer.take(upTo: count)) : nil
        case .found(let offset, let length):
            if offset > 0 { return .body(buffer.take(upTo: offset)) }
            buffer.consume(length)
            state = .boundaryLine
            return .partEnd
        }
    }

    /// What follows a boundary on its line: `--` makes it the last, white space may stand there.
    private mutating func readBoundaryLine() throws(MultipartError) -> Bool {
        if buffer.first == UInt8(ascii: "-") {
            guard buffer.count >= 2 else { return false }
            guard buffer.bytes[buffer.start + 1] == UInt8(ascii: "-") else { throw .malformedBoundaryLine }
            buffer.consume(2)
            aroundBytes = 0
            state = .afterLast
            return true
        }
        guard try readPadding() else { return false }
        partsCount += 1
        guard partsCount <= limits.partsMax else { throw .tooManyParts(countMax: limits.partsMax) }
        state = .head(FieldSection(bytesMax: limits.partHeadBytesMax, countMax: limits.partHeadFieldsMax))
        return true
    }

    /// Behind the last boundary: nothing, or white space and a line's end and an epilogue.
    private mutating func readLastLine() throws(MultipartError) -> Bool {
        guard !buffer.isEmpty, try readPadding() else { return false }
        state = .epilogue
        return true
    }

    /// White space and a line's end.
    private mutating func readPadding() throws(MultipartError) -> Bool {
        // Looked at before the line's end is there: a body that ends here would otherwise be called too short.
        let isBlank = buffer.bytes[buffer.start...].prefix { $0 != UInt8(ascii: "\n") }
            .allSatisfy { Self.isSpace($0) || $0 == UInt8(ascii: "\r") }
        guard isBlank else { throw .malformedBoundaryLine }
        do throws(HTTPParseError) {
            let isThere = try buffer.takeLine(bytesMax: limits.paddingBytesMax, tooLong: .headersTooLarge) { line in
                !line.contains(UInt8(ascii: "\r"))
            }
            guard let isThere else { return false }
            guard isThere else { throw HTTPParseError.bareLineFeed }
            return true
        } catch {
            throw .malformedBoundaryLine
        }
    }

    private mutating func skip(_ count: Int) throws(MultipartError) {
        aroundBytes += count
        guard aroundBytes <= limits.aroundBytesMax else {
            throw .tooMuchAroundParts(bytesMax: limits.aroundBytesMax)
        }
        buffer.consume(count)
    }

    /// Looks for a delimiter, from the front.
    private mutating func search() -> Search {
        if isAtLineStart {
            let length = delimiter.count - 2
            if buffer.bytes[buffer.start...].prefix(length).elementsEqual(delimiter[2...].prefix(buffer.count)) {
                guard buffer.count >= length else { return .none(count: 0) }
                isAtLineStart = false
                return .found(offset: 0, length: length)
            }
            isAtLineStart = false
        }
        let (start, delimiter) = (buffer.start, delimiter)
        return buffer.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return .none(count: 0) }
            var index = start
            while index < bytes.count, let hit = memchr(base + index, Int32(UInt8(ascii: "\r")), bytes.count - index) {
                index = UnsafeRawPointer(hit) - base
                let compared = min(delimiter.count, bytes.count - index)
                if memcmp(hit, delimiter, compared) == 0 {
                    return compared == delimiter.count
                        ? .found(offset: index - start, length: compared) : .none(count: index - start)
                }
                index += 1
            }
            return .none(count: bytes.count - start)
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// RFC 2046 §5.1.1: `bchars`.
    private static func isBoundaryByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "'()+_,-./:=? ".utf8.contains(byte)
        }
    }
}
