internal import Glibc

/// Decodes messages from a peer's byte stream (RFC 6455 §5).
///
/// Give it what has arrived and ask for the next message until there is none:
///
///     var input = received
///     while let message = try decoder.next(&input) { … }
///
/// A frame that lies whole in the input, the usual case, is unmasked in place and returned as a pointer into it: no
/// copy and no allocation. What comes in pieces is unmasked and checked as it arrives, bad UTF-8 at its first wrong
/// byte, and collected in a buffer that lives only as long as the message is incomplete. An idle connection has no
/// heap memory here.
///
/// Not `Sendable`: it belongs to the connection, on the connection's event loop.
package struct MessageDecoder: ~Copyable {
    /// Which side of the connection decodes.
    package enum Role: UInt8, Sendable {
        /// Frames must be masked.
        case server
        /// Frames must not be masked.
        case client
    }

    /// The largest limit that can be set, in bytes.
    package static let messageBytesMaxLimit = 1 << 30
    /// The smallest buffer that is allocated, in bytes.
    private static let capacityMin = 256

    /// The message so far, and after it the control frame so far; `nil` while there is nothing to hold.
    private var buffer: UnsafeMutableRawPointer?
    /// Bytes of the message in `buffer`.
    private var count: UInt32 = 0
    private var capacity: UInt32 = 0
    private let messageBytesMax: UInt32
    /// Bytes of the current frame's payload that are still to come.
    private var remaining: UInt32 = 0
    /// The current frame's, turned to the next byte.
    private var maskingKey: UInt32 = 0
    /// A header that has not come whole: its first `headerCount` bytes.
    private var header = InlineArray<14, UInt8>(repeating: 0)
    private var headerCount: UInt8 = 0
    /// Bytes of a control frame behind the message in `buffer`.
    private var controlCount: UInt8 = 0
    /// `.text` or `.binary` while a message is incomplete.
    private var messageOpcode: Opcode?
    /// The current frame's while its payload is incomplete.
    private var frameOpcode: Opcode?
    private var isFinal = false
    private var validator = UTF8Validator()
    /// What was returned last lies in `buffer`, which is freed at the next call.
    private var isDelivered = false
    private var isClosed = false
    private var failure: FrameError?
    private let role: Role

    /// - Parameters:
    ///   - role: Of the side that decodes.
    ///   - messageBytesMax: The largest message, over all its fragments, in bytes, 0…`messageBytesMaxLimit`.
    package init(role: Role, messageBytesMax: Int) {
        precondition((0...Self.messageBytesMaxLimit).contains(messageBytesMax), "message limit out of range")
        self.role = role
        self.messageBytesMax = UInt32(messageBytesMax)
    }

    deinit { free(buffer) }

    /// Bytes of memory held for an incomplete message.
    package var heldBytes: Int { Int(capacity) }

    /// The next message or control frame.
    ///
    /// - Parameter input: What has arrived; consumed from its front, and changed by unmasking. It must stay where it is
    ///   until the message has been used.
    /// - Returns: `nil` when more bytes are needed; then `input` is empty. Whatever follows a close frame is dropped.
    /// - Throws: `FrameError`, to close the connection with its `closeCode`. The decoder refuses input afterwards, with
    ///   the same error.
    package mutating func next(_ input: inout UnsafeMutableRawBufferPointer) throws(FrameError) -> Message? {
        if isDelivered { release() }
        if let failure { throw failure }
        if isClosed {
            input = UnsafeMutableRawBufferPointer(start: nil, count: 0)
            return nil
        }
        do throws(FrameError) {
            return try decode(&input)
        } catch {
            failure = error
            release()
            throw error
        }
    }

    // MARK: - Frames

    @inline(__always)
    private mutating func decode(_ input: inout UnsafeMutableRawBufferPointer) throws(FrameError) -> Message? {
        while true {
            if frameOpcode == nil {
                guard let header = try takeHeader(&input) else { return nil }
                try admit(header)
                if input.count >= header.payloadLength, header.opcode.isControl || isWholeMessage(header),
                    let payload = input.baseAddress
                {
                    return try deliver(header, payload, &input)
                }
                begin(header)
            }
            if let message = try takePayload(&input) { return message }
            if frameOpcode != nil { return nil }
        }
    }

    /// Consumes a header, or puts aside the part of it that is there.
    @inline(__always)
    private mutating func takeHeader(
        _ input: inout UnsafeMutableRawBufferPointer
    ) throws(FrameError) -> FrameHeader? {
        guard let base = input.baseAddress, input.count > 0 else { return nil }
        if headerCount == 0,
            let header = try FrameHeader.parse(base, input.count, isMasked: role == .server)
        {
            Self.consume(header.length, &input)
            return header
        }
        return try collectHeader(&input)
    }

    @inline(never)
    private mutating func collectHeader(
        _ input: inout UnsafeMutableRawBufferPointer
    ) throws(FrameError) -> FrameHeader? {
        while let base = input.baseAddress, input.count > 0 {
            header[Int(headerCount)] = base.load(as: UInt8.self)
            headerCount += 1
            Self.consume(1, &input)
            var bytes = header
            let (length, isMasked) = (Int(headerCount), role == .server)
            let parsed: Result<FrameHeader?, FrameError> = withUnsafeMutableBytes(of: &bytes) { bytes in
                guard let base = bytes.baseAddress else { return .success(nil) }
                do throws(FrameError) {
                    return .success(try FrameHeader.parse(base, length, isMasked: isMasked))
                } catch {
                    return .failure(error)
                }
            }
            if let whole = try parsed.get() {
                headerCount = 0
                return whole
            }
        }
        return nil
    }

    /// Refuses a frame that must not come now (§5.4) or makes its message too large.
    @inline(__always)
    private func admit(_ header: FrameHeader) throws(FrameError) {
        if header.opcode.isControl { return }
        if header.opcode == .continuation {
            guard messageOpcode != nil else { throw .continuationWithoutStart }
        } else {
            guard messageOpcode == nil else { throw .continuationExpected }
        }
        guard header.payloadLength <= Int(messageBytesMax &- count) else { throw .tooLarge }
    }

    @inline(__always)
    private func isWholeMessage(_ header: FrameHeader) -> Bool {
        header.isFinal && header.opcode != .continuation
    }

    /// The fast path: a whole message or control frame in place.
    @inline(__always)
    private mutating func deliver(
        _ header: FrameHeader,
        _ payload: UnsafeMutableRawPointer,
        _ input: inout UnsafeMutableRawBufferPointer
    ) throws(FrameError) -> Message {
        let isASCII = Masking.apply(payload, header.payloadLength, header.maskingKey)
        let bytes = UnsafeRawBufferPointer(start: payload, count: header.payloadLength)
        Self.consume(header.payloadLength, &input)
        switch header.opcode {
        case .text:
            guard isASCII || UTF8Validator.isValid(bytes) else { throw .invalidUTF8 }
            return .text(bytes)
        case .binary, .continuation: return .binary(bytes)
        case .ping: return .ping(bytes)
        case .pong: return .pong(bytes)
        case .close: return try close(bytes)
        }
    }

    // MARK: - Pieces

    private mutating func begin(_ header: FrameHeader) {
        frameOpcode = header.opcode
        isFinal = header.isFinal
        maskingKey = header.maskingKey
        remaining = UInt32(header.payloadLength)
        guard header.opcode == .text || header.opcode == .binary else { return }
        messageOpcode = header.opcode
        validator = UTF8Validator()
    }

    /// Takes what is there of the current frame's payload; `nil` at the end of the input or of a fragment.
    @inline(never)
    private mutating func takePayload(
        _ input: inout UnsafeMutableRawBufferPointer
    ) throws(FrameError) -> Message? {
        let isControl = frameOpcode?.isControl == true
        let taken = min(Int(remaining), input.count)
        if taken > 0, let base = input.baseAddress {
            let isASCII = Masking.apply(base, taken, maskingKey)
            maskingKey = Masking.rotated(maskingKey, by: taken)
            if !isControl, messageOpcode == .text, !isASCII || !validator.isComplete {
                let piece = UnsafeRawBufferPointer(start: base, count: taken)
                guard validator.feed(piece) else { throw .invalidUTF8 }
            }
            remaining -= UInt32(taken)
            append(base, taken, isControl: isControl)
            Self.consume(taken, &input)
        }
        guard remaining == 0, let opcode = frameOpcode else { return nil }
        frameOpcode = nil
        if isControl { return try controlFrame(opcode) }
        return isFinal ? try message() : nil
    }

    private mutating func controlFrame(_ opcode: Opcode) throws(FrameError) -> Message {
        let start = buffer.map { UnsafeRawPointer($0) + Int(count) }
        let bytes = UnsafeRawBufferPointer(start: start, count: Int(controlCount))
        controlCount = 0
        isDelivered = messageOpcode == nil
        switch opcode {
        case .ping: return .ping(bytes)
        case .pong: return .pong(bytes)
        case .close, .text, .binary, .continuation: return try close(bytes)
        }
    }

    private mutating func message() throws(FrameError) -> Message {
        let bytes = UnsafeRawBufferPointer(start: buffer, count: Int(count))
        let isText = messageOpcode == .text
        messageOpcode = nil
        isDelivered = true
        guard isText else { return .binary(bytes) }
        guard validator.isComplete else { throw .invalidUTF8 }
        return .text(bytes)
    }

    /// A close frame's payload (§5.5.1).
    private mutating func close(_ payload: UnsafeRawBufferPointer) throws(FrameError) -> Message {
        guard let base = payload.baseAddress, payload.count > 0 else {
            isClosed = true
            isDelivered = true
            return .close(nil, reason: payload)
        }
        guard payload.count >= 2 else { throw .closePayloadTooShort }
        let code = CloseCode(rawValue: UInt16(bigEndian: base.loadUnaligned(as: UInt16.self)))
        guard code.isValidOnWire else { throw .closeCodeInvalid }
        let reason = UnsafeRawBufferPointer(start: base + 2, count: payload.count - 2)
        guard UTF8Validator.isValid(reason) else { throw .invalidUTF8 }
        isClosed = true
        isDelivered = true
        return .close(code, reason: reason)
    }

    // MARK: - Memory

    @inline(__always)
    private static func consume(_ length: Int, _ input: inout UnsafeMutableRawBufferPointer) {
        let start = input.baseAddress.map { $0 + length }
        input = UnsafeMutableRawBufferPointer(start: start, count: input.count &- length)
    }

    /// Puts a control frame's bytes behind the message's, so that one buffer does for both.
    private mutating func append(_ bytes: UnsafeMutableRawPointer, _ length: Int, isControl: Bool) {
        let end = Int(count) + Int(controlCount)
        if end + length > Int(capacity) { grow(to: end + length) }
        buffer?.advanced(by: end).copyMemory(from: bytes, byteCount: length)
        if isControl { controlCount += UInt8(length) } else { count += UInt32(length) }
    }

    /// Makes room for `needed` bytes: up to twice what has arrived, but never by what a header merely announces, and no
    /// more than the message can still become.
    private mutating func grow(to needed: Int) {
        let limit = isFinal ? needed + Int(remaining) : max(needed, Int(messageBytesMax))
        let grown = min(limit, max(needed * 2, Self.capacityMin))
        guard let moved = realloc(buffer, grown) else { preconditionFailure("out of memory") }
        buffer = moved
        capacity = UInt32(grown)
    }

    private mutating func release() {
        free(buffer)
        buffer = nil
        count = 0
        capacity = 0
        controlCount = 0
        isDelivered = false
    }
}
