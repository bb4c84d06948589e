/// Decodes the text of `file_data` incrementally: base64 (RFC 4648 §4: padded, nothing but its alphabet), or a
/// `data:` URL around it (RFC 2397), which is what a browser's `FileReader.readAsDataURL` gives.
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
    private var group: UInt32 = 0
    private var groupCount = 0
    private var paddingCount = 0
    private var position = 0

    /// The bytes decoded so far.
    private(set) var decodedCount = 0

    /// Decodes `text`, appending the bytes to `output`.
    ///
    /// - Throws: `FilesError.invalidBase64`.
    mutating func feed(_ text: [UInt8], into output: inout [UInt8]) throws(FilesError) {
        var rest = text[...]
        while state != .base64, let byte = rest.first {
            head.append(byte)
            rest.removeFirst()
            try inspectHead(into: &output)
        }
        if !rest.isEmpty { try decode(rest, into: &output) }
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
        guard groupCount == 0 else {
            throw .invalidBase64("the text ends within a group of four; padding is required")
        }
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
            position = head.count
            head.removeAll()
            state = .base64
        case .base64: break
        }
    }

    private mutating func decodeHead(into output: inout [UInt8]) throws(FilesError) {
        state = .base64
        let text = head
        head.removeAll()
        try decode(text[...], into: &output)
    }

    private mutating func decode(_ text: ArraySlice<UInt8>, into output: inout [UInt8]) throws(FilesError) {
        let table = Self.values
        let countBefore = output.count
        output.reserveCapacity(countBefore + text.count / 4 * 3 + 3)
        for byte in text {
            let value = table[Int(byte)]
            if value < 64, paddingCount == 0 {
                group = group << 6 | UInt32(value)
                groupCount += 1
                if groupCount == 4 {
                    output.append(UInt8(truncatingIfNeeded: group >> 16))
                    output.append(UInt8(truncatingIfNeeded: group >> 8))
                    output.append(UInt8(truncatingIfNeeded: group))
                    group = 0
                    groupCount = 0
                }
            } else {
                try padding(byte, into: &output)
            }
            position += 1
        }
        decodedCount += output.count - countBefore
    }

    private mutating func padding(_ byte: UInt8, into output: inout [UInt8]) throws(FilesError) {
        guard byte == UInt8(ascii: "="), groupCount >= 2 else {
            if byte < 0x80, byte > 0x20 {
                let character = Character(Unicode.Scalar(byte))
                throw .invalidBase64("unexpected '\(character)' at character \(position)")
            }
            throw .invalidBase64("unexpected byte at character \(position)")
        }
        paddingCount += 1
        groupCount += 1
        guard groupCount == 4 else { return }
        // Two or one of the last group's characters were padding; the bits they leave over must be zero.
        let unusedBits: UInt32 = paddingCount == 1 ? 0b11 : 0b1111
        guard group & unusedBits == 0 else { throw .invalidBase64("the last group has bits that belong to no byte") }
        if paddingCount == 1 {
            output.append(UInt8(truncatingIfNeeded: group >> 10))
            output.append(UInt8(truncatingIfNeeded: group >> 2))
        } else {
            output.append(UInt8(truncatingIfNeeded: group >> 4))
        }
        groupCount = 0
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// What each byte stands for; 64 and up: not in the alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, byte) in alphabet.utf8.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()
}
