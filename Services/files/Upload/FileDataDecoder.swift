import Crypto

/// Decodes the text of `file_data` incrementally: base64, or a `data:` URL around it (RFC 2397), which is what a
/// browser's `FileReader.readAsDataURL` gives.
struct FileDataDecoder {
    /// The longest head of a `data:` URL, from `data:` to the comma.
    static let dataURLHeadBytesMax = 256

    private enum State {
        /// Fewer than five characters came: `data:` is still possible.
        case undecided
        case dataURLHead
        case base64
    }

    private var state = State.undecided
    private var head: [UInt8] = []
    private var decoder = Base64Decoder()

    /// The bytes decoded so far.
    private(set) var decodedCount = 0

    /// Decodes `text`, appending the bytes to `output`.
    ///
    /// - Throws: `FilesError.invalidBase64`.
    mutating func feed(_ text: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        guard state != .base64 else { return try decode(text, into: &output) }
        var rest = text[...]
        while state != .base64, let byte = rest.popFirst() {
            head.append(byte)
            try inspectHead(into: &output)
        }
        if !rest.isEmpty { try decode(Array(rest), into: &output) }
    }

    /// Ends the text.
    ///
    /// - Throws: `FilesError.invalidBase64` for a group that is not full.
    mutating func finish(into output: inout [UInt8]) throws(FilesError) {
        switch state {
        case .undecided: try decodeHead(into: &output)
        case .dataURLHead: throw .invalidBase64("a data URL without a comma")
        case .base64: break
        }
        do throws(Base64Error) { try decoder.finish() } catch { throw Self.refusal(error) }
    }

    // MARK: -

    private mutating func inspectHead(into output: inout [UInt8]) throws(FilesError) {
        let scheme = Array("data:".utf8)
        switch state {
        case .undecided:
            let matches = zip(head, scheme).allSatisfy { Self.lowercase($0) == $1 }
            if !matches {
                try decodeHead(into: &output)
            } else if head.count == scheme.count {
                state = .dataURLHead
            }
        case .dataURLHead:
            guard head.last == UInt8(ascii: ",") else {
                guard head.count < Self.dataURLHeadBytesMax else {
                    throw .invalidBase64("a data URL's head has at most \(Self.dataURLHeadBytesMax) bytes")
                }
                return
            }
            guard head.dropLast().suffix(7).map(Self.lowercase).elementsEqual(";base64".utf8) else {
                throw .invalidBase64("a data URL must say ;base64")
            }
            head.removeAll()
            state = .base64
        case .base64: break
        }
    }

    private mutating func decodeHead(into output: inout [UInt8]) throws(FilesError) {
        state = .base64
        let text = head
        head.removeAll()
        try decode(text, into: &output)
    }

    private mutating func decode(_ text: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        let countBefore = output.count
        do throws(Base64Error) { try decoder.feed(text, into: &output) } catch { throw Self.refusal(error) }
        decodedCount += output.count - countBefore
    }

    private static func refusal(_ error: Base64Error) -> FilesError {
        switch error {
        case .badCharacter(let offset): .invalidBase64("character \(offset) of the base64 text is not of its alphabet")
        case .badPadding(let offset): .invalidBase64("wrong padding at character \(offset)")
        case .dataAfterPadding(let offset): .invalidBase64("something follows the padding at character \(offset)")
        case .trailingBits(let offset): .invalidBase64("character \(offset) has bits that belong to no byte")
        case .truncated(let length): .invalidBase64("ends within a group of four after \(length) characters")
        }
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
