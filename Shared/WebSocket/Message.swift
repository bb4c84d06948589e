/// A whole message or control frame.
///
/// The bytes are unmasked, and valid until the decoder's next call.
package enum Message {
    /// Valid UTF-8.
    case text(UnsafeRawBufferPointer)
    case binary(UnsafeRawBufferPointer)
    /// At most 125 bytes, to be sent back in a pong.
    case ping(UnsafeRawBufferPointer)
    case pong(UnsafeRawBufferPointer)
    /// The peer closes; `nil` when it gave no code. The reason is valid UTF-8 of at most 123 bytes.
    case close(CloseCode?, reason: UnsafeRawBufferPointer)
}
