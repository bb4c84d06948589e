/// What a peer did against RFC 6455, or over our limits.
///
/// The connection is to be closed with `closeCode`.
package enum FrameError: UInt8, Error, Sendable, CaseIterable {
    /// RSV1, RSV2 or RSV3 is set and no extension was agreed on (§5.2).
    case reservedBits
    /// Opcode 3–7 or 11–15 (§5.2).
    case reservedOpcode
    /// A client's frame without a mask (§5.1).
    case unmasked
    /// A server's frame with a mask (§5.1).
    case masked
    /// A control frame without FIN (§5.5).
    case controlFragmented
    /// A control frame over 125 bytes (§5.5).
    case controlTooLong
    /// A length in more bytes than it needs (§5.2).
    case lengthNotMinimal
    /// A 64-bit length with the top bit set (§5.2).
    case lengthOverflow
    /// A continuation frame with nothing to continue (§5.4).
    case continuationWithoutStart
    /// A text or binary frame inside a fragmented message (§5.4).
    case continuationExpected
    /// A close frame with one byte (§5.5.1).
    case closePayloadTooShort
    /// A close code that may not be sent (§7.4).
    case closeCodeInvalid
    /// A text message or close reason that is not UTF-8 (§8.1).
    case invalidUTF8
    /// A message over the limit; found in the frame's header, before anything of it is held.
    case tooLarge

    /// What to close the connection with.
    package var closeCode: CloseCode {
        switch self {
        case .invalidUTF8: .invalidPayload
        case .tooLarge: .messageTooBig
        case .reservedBits, .reservedOpcode, .unmasked, .masked, .controlFragmented, .controlTooLong,
            .lengthNotMinimal, .lengthOverflow, .continuationWithoutStart, .continuationExpected,
            .closePayloadTooShort, .closeCodeInvalid:
            .protocolError
        }
    }
}
