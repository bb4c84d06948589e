internal import Glibc

/// Takes answers out of a stream of bytes that comes in pieces of any size (RESP2 and RESP3).
///
/// Each byte is looked at once: of a value that has not arrived wholly, only what is new is read when more comes.
/// A length that a server announces reserves nothing that has not come yet, but for a small first part.
package struct RESPParser: Sendable {
    /// What is reserved on the word of an announced length: elements, or bytes.
    private static let reserveMax = (elements: 1024, bytes: 1 << 20)

    private enum Aggregate {
        case array, map, set, push, attribute
    }

    private struct Frame {
        let kind: Aggregate
        var missing: Int
        var items: [RESPValue] = []
    }

    private enum Bulk {
        case string, error, verbatim
    }

    private struct Payload {
        let kind: Bulk
        let length: Int
        var bytes: [UInt8] = []
        /// Of the CRLF that follows.
        var lineEndBytes = 0
    }

    private let limits: RESPLimits
    private var stack: [Frame] = []
    private var payload: Payload?
    /// The beginning of a line whose end has not come.
    private var line: [UInt8] = []
    /// Of the answer that is being read.
    private var elements = 0
    private var answerBytes = 0

    package init(limits: RESPLimits = RESPLimits()) { self.limits = limits }

    /// The next whole answer.
    ///
    /// - Parameters:
    ///   - input: New bytes.
    ///   - offset: Where in `input` to go on; moved past what was read.
    /// - Returns: `nil` when all of `input` has been read.
    /// - Throws: `RESPError`, after which the parser is of no use.
    package mutating func next(
        _ input: UnsafeRawBufferPointer,
        _ offset: inout Int
    ) throws(RESPError) -> RESPValue? {
        while offset < input.count {
            let part: RESPValue?
            if payload == nil {
                part = try takeLine(input, &offset)
            } else {
                part = try takePayload(input, &offset)
            }
            guard let part, let answer = close(part) else { continue }
            elements = 0
            answerBytes = 0
            return answer
        }
        return nil
    }

    // MARK: - Lines

    private mutating func takeLine(
        _ input: UnsafeRawBufferPointer,
        _ offset: inout Int
    ) throws(RESPError) -> RESPValue? {
        let rest = UnsafeRawBufferPointer(rebasing: input[offset...])
        guard let base = rest.baseAddress else { return nil }
        guard let hit = memchr(base, Int32(UInt8(ascii: "\n")), rest.count) else {
            guard line.count + rest.count <= limits.lineBytesMax else { throw .lineTooLong }
            line.append(contentsOf: rest)
            offset = input.count
            return nil
        }
        let count = UnsafeRawPointer(hit) - base + 1
        guard line.count + count <= limits.lineBytesMax else { throw .lineTooLong }
        offset += count
        let end = UnsafeRawBufferPointer(rebasing: rest[..<count])
        guard !line.isEmpty else { return try read(line: end) }
        let whole = line + end
        line = []
        let outcome: Result<RESPValue?, RESPError> = whole.withUnsafeBytes { bytes in
            do throws(RESPError) { return .success(try read(line: bytes)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }

    /// Reads a line with its CRLF: a value, or the head of one, for which there is `nil`.
    private mutating func read(line: UnsafeRawBufferPointer) throws(RESPError) -> RESPValue? {
        guard line.count >= 3, line[line.count - 2] == UInt8(ascii: "\r") else { throw .malformedLine }
        elements += 1
        guard elements <= limits.elementsMax else { throw .tooManyElements }
        try count(line.count)
        let rest = UnsafeRawBufferPointer(rebasing: line[1..<(line.count - 2)])
        switch line[0] {
        case UInt8(ascii: "$"): return try begin(.string, rest)
        case UInt8(ascii: ":"): return .integer(try integer(rest))
        case UInt8(ascii: "+"): return .status(try text(rest))
        case UInt8(ascii: "-"): return .error(RedisServerError(line: try text(rest)))
        case UInt8(ascii: "*"): return try begin(.array, rest)
        case UInt8(ascii: "%"): return try begin(.map, rest)
        case UInt8(ascii: "~"): return try begin(.set, rest)
        case UInt8(ascii: "|"): return try begin(.attribute, rest)
        case UInt8(ascii: ">"):
            guard stack.isEmpty else { throw .nestedPush }
            return try begin(.push, rest)
        case UInt8(ascii: "="): return try begin(.verbatim, rest)
        case UInt8(ascii: "!"): return try begin(.error, rest)
        case UInt8(ascii: "_"):
            guard rest.isEmpty else { throw .malformedNumber }
            return .null
        case UInt8(ascii: "#"): return .boolean(try boolean(rest))
        case UInt8(ascii: ","): return .double(try double(rest))
        case UInt8(ascii: "("): return .bigNumber(try bigNumber(rest))
        default: throw .unknownType(line[0])
        }
    }

    private mutating func count(_ bytes: Int) throws(RESPError) {
        answerBytes += bytes
        guard answerBytes <= limits.answerBytesMax else { throw .answerTooLarge }
    }

    private func text(_ rest: UnsafeRawBufferPointer) throws(RESPError) -> String {
        guard !rest.contains(UInt8(ascii: "\r")) else { throw .malformedLine }
        return String(decoding: rest, as: UTF8.self)
    }

    private func integer(_ rest: UnsafeRawBufferPointer) throws(RESPError) -> Int {
        guard let number = Decimal.integer(rest) else { throw .malformedNumber }
        return number
    }

    private func boolean(_ rest: UnsafeRawBufferPointer) throws(RESPError) -> Bool {
        guard rest.count == 1 else { throw .malformedNumber }
        switch rest[0] {
        case UInt8(ascii: "t"): return true
        case UInt8(ascii: "f"): return false
        default: throw .malformedNumber
        }
    }

    private func double(_ rest: UnsafeRawBufferPointer) throws(RESPError) -> Double {
        let text = String(decoding: rest, as: UTF8.self)
        switch text {
        case "inf": return .infinity
        case "-inf": return -.infinity
        case "nan", "-nan": return .nan
        default:
            // The standard library reads hexadecimal and words as well.
            guard rest.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let number = Double(text) else {
                throw .malformedNumber
            }
            return number
        }
    }

    private func bigNumber(_ rest: UnsafeRawBufferPointer) throws(RESPError) -> String {
        let digits = rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") ? rest.dropFirst() : rest[...]
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            throw .malformedNumber
        }
        return String(decoding: rest, as: UTF8.self)
    }

    // MARK: - Bulk strings

    /// A length, or -1 where RESP2 writes null that way.
    private func length(_ rest: UnsafeRawBufferPointer, mayBeNull: Bool) throws(RESPError) -> Int {
        guard let number = Decimal.integer(rest), rest[0] != UInt8(ascii: "+") else { throw .malformedLength }
        guard number >= 0 || mayBeNull && number == -1 else { throw .malformedLength }
        return number
    }

    private mutating func begin(_ kind: Bulk, _ rest: UnsafeRawBufferPointer) throws(RESPError) -> RESPValue? {
        let length = try length(rest, mayBeNull: kind == .string)
        if length < 0 { return .null }
        guard length <= limits.bulkBytesMax else { throw .bulkTooLong }
        try count(length + 2)
        payload = Payload(kind: kind, length: length)
        return nil
    }

    private mutating func takePayload(
        _ input: UnsafeRawBufferPointer,
        _ offset: inout Int
    ) throws(RESPError) -> RESPValue? {
        guard var current = payload.take() else { return nil }
        let missing = current.length - current.bytes.count
        if missing > 0 {
            let count = min(missing, input.count - offset)
            if count < missing, current.bytes.isEmpty {
                current.bytes.reserveCapacity(min(current.length, Self.reserveMax.bytes))
            }
            current.bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[offset..<(offset + count)]))
            offset += count
        }
        while current.bytes.count == current.length, current.lineEndBytes < 2, offset < input.count {
            let expected = current.lineEndBytes == 0 ? UInt8(ascii: "\r") : UInt8(ascii: "\n")
            guard input[offset] == expected else { throw .missingLineEnd }
            current.lineEndBytes += 1
            offset += 1
        }
        guard current.lineEndBytes == 2 else {
            payload = current
            return nil
        }
        return try value(of: current.kind, current.bytes)
    }

    private func value(of kind: Bulk, _ bytes: [UInt8]) throws(RESPError) -> RESPValue {
        switch kind {
        case .string: return .string(bytes)
        case .error: return .error(RedisServerError(line: String(decoding: bytes, as: UTF8.self)))
        case .verbatim:
            guard bytes.count >= 4, bytes[3] == UInt8(ascii: ":") else { throw .malformedVerbatim }
            return .verbatim(format: String(decoding: bytes[..<3], as: UTF8.self), Array(bytes[4...]))
        }
    }

    // MARK: - Aggregates

    private mutating func begin(_ kind: Aggregate, _ rest: UnsafeRawBufferPointer) throws(RESPError) -> RESPValue? {
        let length = try length(rest, mayBeNull: kind == .array)
        if length < 0 { return .null }
        guard length <= limits.elementsMax else { throw .tooManyElements }
        let count = kind == .map || kind == .attribute ? 2 * length : length
        guard elements + count <= limits.elementsMax else { throw .tooManyElements }
        guard stack.count < limits.depthMax else { throw .tooDeep }
        var frame = Frame(kind: kind, missing: count)
        if count == 0 { return Self.value(of: frame) }
        frame.items.reserveCapacity(min(count, Self.reserveMax.elements))
        stack.append(frame)
        return nil
    }

    /// Puts a value into the aggregate that waits for it, and that one into the next when it is complete.
    ///
    /// - Returns: The whole answer, when it is complete.
    private mutating func close(_ part: RESPValue) -> RESPValue? {
        var value = part
        while !stack.isEmpty {
            let top = stack.count - 1
            stack[top].items.append(value)
            stack[top].missing -= 1
            guard stack[top].missing == 0, let whole = Self.value(of: stack.removeLast()) else { return nil }
            value = whole
        }
        return value
    }

    /// The value that a complete frame stands for; none for attributes.
    private static func value(of frame: Frame) -> RESPValue? {
        let items = frame.items
        switch frame.kind {
        case .array: return .array(items)
        case .set: return .set(items)
        case .push: return .push(items)
        case .map:
            return .map(stride(from: 0, to: items.count, by: 2).map { RESPValue.Entry(items[$0], items[$0 + 1]) })
        case .attribute: return nil
        }
    }
}
