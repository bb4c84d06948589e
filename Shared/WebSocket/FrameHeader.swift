/// A frame's header (RFC 6455 §5.2).
///
///      0                   1                   2                   3
///      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
///     +-+-+-+-+-------+-+-------------+-------------------------------+
///     |F|R|R|R| opcode|M| Payload len |    Extended payload length    |
///     |I|S|S|S|  (4)  |A|     (7)     |             (16/64)           |
///     |N|V|V|V|       |S|             |   (if payload len==126/127)   |
///     | |1|2|3|       |K|             |                               |
///     +-+-+-+-+-------+-+-------------+-------------------------------+
///     |               Masking-key (0 or 4 bytes)                      |
///     +---------------------------------------------------------------+
struct FrameHeader {
    static let controlPayloadLengthMax = 125

    var opcode: Opcode
    var isFinal: Bool
    /// In bytes, 0…2⁶³−1.
    var payloadLength: Int
    /// The four bytes as they lie in memory; 0 when there is no mask.
    var maskingKey: UInt32
    /// The header's own length, 2…14 bytes.
    var length: Int

    /// Reads a header from the first bytes of a frame, checking each byte as soon as it is there.
    ///
    /// - Parameters:
    ///   - bytes: At least `available` readable bytes.
    ///   - available: 1 or more.
    ///   - isMasked: Whether the peer has to mask.
    /// - Returns: `nil` when more bytes are needed.
    /// - Throws: Whatever can be wrong without knowing the frames before.
    @inline(__always)
    static func parse(
        _ bytes: UnsafeRawPointer,
        _ available: Int,
        isMasked: Bool
    ) throws(FrameError) -> FrameHeader? {
        let first = bytes.load(as: UInt8.self)
        guard first & 0x70 == 0 else { throw .reservedBits }
        guard let opcode = Opcode(rawValue: first & 0x0f) else { throw .reservedOpcode }
        let isFinal = first & 0x80 != 0
        if opcode.isControl, !isFinal { throw .controlFragmented }
        guard available >= 2 else { return nil }
        let second = bytes.load(fromByteOffset: 1, as: UInt8.self)
        if second & 0x80 != (isMasked ? 0x80 : 0) { throw isMasked ? .unmasked : .masked }
        var payloadLength = Int(second & 0x7f)
        if opcode.isControl, payloadLength > controlPayloadLengthMax { throw .controlTooLong }
        var length = 2
        if payloadLength == 126 {
            guard available >= 4 else { return nil }
            payloadLength = Int(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            guard payloadLength > 125 else { throw .lengthNotMinimal }
            length = 4
        } else if payloadLength == 127 {
            guard available >= 10 else { return nil }
            let long = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard long >> 63 == 0 else { throw .lengthOverflow }
            guard long > 0xffff else { throw .lengthNotMinimal }
            payloadLength = Int(long)
            length = 10
        }
        var maskingKey: UInt32 = 0
        if isMasked {
            guard available >= length &+ 4 else { return nil }
            maskingKey = bytes.loadUnaligned(fromByteOffset: length, as: UInt32.self)
            length &+= 4
        }
        return FrameHeader(
            opcode: opcode,
            isFinal: isFinal,
            payloadLength: payloadLength,
            maskingKey: maskingKey,
            length: length
        )
    }
}
