/// Writes frames (RFC 6455 §5.2).
///
/// Servers do not mask; the masked forms are for clients.
package enum FrameEncoder {
    /// The longest header without a mask, in bytes.
    package static let headerLengthMax = 10
    /// The longest reason that fits into a close frame, in bytes.
    package static let closeReasonBytesMax = FrameHeader.controlPayloadLengthMax - 2

    /// The length of an unmasked frame's header: 2, 4 or 10 bytes.
    package static func headerLength(payload length: Int) -> Int {
        length <= 125 ? 2 : length <= 0xffff ? 4 : 10
    }

    /// Writes an unmasked frame's header; the payload's bytes follow it as they are.
    ///
    /// - Parameters:
    ///   - opcode: What the frame carries.
    ///   - fin: Whether the message ends with this frame.
    ///   - payloadLength: In bytes; at most 125 for a control frame.
    ///   - buffer: Room for `headerLength(payload:)` bytes.
    /// - Returns: The bytes written.
    package static func writeHeader(
        opcode: Opcode,
        fin: Bool = true,
        payloadLength: Int,
        into buffer: UnsafeMutableRawPointer
    ) -> Int {
        buffer.storeBytes(of: opcode.rawValue | (fin ? 0x80 : 0), as: UInt8.self)
        if payloadLength <= 125 {
            buffer.storeBytes(of: UInt8(payloadLength), toByteOffset: 1, as: UInt8.self)
            return 2
        }
        if payloadLength <= 0xffff {
            buffer.storeBytes(of: 126, toByteOffset: 1, as: UInt8.self)
            buffer.storeBytes(of: UInt16(payloadLength).bigEndian, toByteOffset: 2, as: UInt16.self)
            return 4
        }
        buffer.storeBytes(of: 127, toByteOffset: 1, as: UInt8.self)
        buffer.storeBytes(of: UInt64(payloadLength).bigEndian, toByteOffset: 2, as: UInt64.self)
        return 10
    }

    /// A whole frame.
    ///
    /// - Parameters:
    ///   - opcode: What the frame carries.
    ///   - payload: At most 125 bytes for a control frame.
    ///   - fin: Whether the message ends with this frame.
    ///   - maskingKey: A client's, most significant byte first on the wire; `nil` for a server's frame.
    /// - Returns: Header and payload.
    package static func frame(
        _ opcode: Opcode,
        _ payload: some Collection<UInt8>,
        fin: Bool = true,
        maskingKey: UInt32? = nil
    ) -> [UInt8] {
        let payload = Array(payload)
        let room = headerLengthMax + 4 + payload.count
        return [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
            guard let base = buffer.baseAddress.map({ UnsafeMutableRawPointer($0) }) else { return }
            var length = writeHeader(opcode: opcode, fin: fin, payloadLength: payload.count, into: base)
            let key = maskingKey?.bigEndian
            if let key {
                buffer[1] |= 0x80
                base.storeBytes(of: key, toByteOffset: length, as: UInt32.self)
                length += 4
            }
            payload.withUnsafeBytes { bytes in
                guard let source = bytes.baseAddress else { return }
                (base + length).copyMemory(from: source, byteCount: bytes.count)
            }
            if let key { _ = Masking.apply(base + length, payload.count, key) }
            initialized = length + payload.count
        }
    }

    /// A whole text message in one frame.
    package static func text(_ text: String, maskingKey: UInt32? = nil) -> [UInt8] {
        frame(.text, text.utf8, maskingKey: maskingKey)
    }

    /// A ping; `payload` is at most 125 bytes.
    package static func ping(_ payload: some Collection<UInt8> = [UInt8](), maskingKey: UInt32? = nil) -> [UInt8] {
        frame(.ping, payload, maskingKey: maskingKey)
    }

    /// The answer to a ping, with its payload.
    package static func pong(_ payload: some Collection<UInt8>, maskingKey: UInt32? = nil) -> [UInt8] {
        frame(.pong, payload, maskingKey: maskingKey)
    }

    /// A close frame; a reason over `closeReasonBytesMax` is cut at a character.
    package static func close(_ code: CloseCode?, reason: String = "", maskingKey: UInt32? = nil) -> [UInt8] {
        guard let code else { return frame(.close, [], maskingKey: maskingKey) }
        var payload = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)]
        for character in reason {
            guard payload.count + character.utf8.count <= closeReasonBytesMax + 2 else { break }
            payload += character.utf8
        }
        return frame(.close, payload, maskingKey: maskingKey)
    }
}
