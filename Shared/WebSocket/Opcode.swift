/// What a frame carries (RFC 6455 §5.2).
///
/// Other values are reserved and refused.
package enum Opcode: UInt8, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xa

    /// Whether frames of this kind may come between fragments, are never fragmented and carry at most 125 bytes.
    package var isControl: Bool { rawValue & 0x8 != 0 }
}
