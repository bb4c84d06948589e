/// Decodes base 64 (RFC 4648 §4) as it arrives, strictly.
///
/// Any split of the text gives the same bytes and the same error. Padding is required. After an error every later
/// call throws it again.
package struct Base64Decoder: Sendable {
    private var failure: Base64Error?
    /// Digits of a group that is not complete: `pendingCount` of them, six bits each.
    private var pending: UInt32 = 0
    private var pendingCount = 0
    private var paddingCount = 0
    /// Characters taken so far.
    private var offset = 0

    package init() {}

    /// Takes the next characters and appends the bytes of every complete group.
    ///
    /// - Parameters:
    ///   - input: Any number of characters, zero included.
    ///   - output: Gets at most ¾ of `input.count` + 2 bytes.
    /// - Throws: `Base64Error` at the first bad character; what came before it may have been appended.
    package mutating func feed(_ input: UnsafeRawBufferPointer, into output: inout [UInt8]) throws(Base64Error) {
        if let failure { throw failure }
        var index = 0
        // A group that was split, up to its end.
        while index < input.count, pendingCount > 0 || paddingCount > 0 {
            try take(input[index], into: &output)
            index += 1
        }
        while paddingCount == 0, input.count - index >= 4 {
            let piece = UnsafeRawBufferPointer(rebasing: input[index...].prefix(Self.pieceLength))
            let taken = Self.decodeGroups(piece, into: &output)
            index += taken
            offset += taken
            // The group that stopped it has the padding or a bad character: by single steps to its end.
            guard taken < piece.count & ~3 else { continue }
            for _ in 0..<4 {
                try take(input[index], into: &output)
                index += 1
            }
        }
        while index < input.count {
            try take(input[index], into: &output)
            index += 1
        }
    }

    /// Takes the next characters and appends the bytes of every complete group.
    ///
    /// - Throws: `Base64Error` at the first bad character.
    package mutating func feed(_ input: [UInt8], into output: inout [UInt8]) throws(Base64Error) {
        let result: Result<Void, Base64Error> = input.withUnsafeBytes { bytes in
            do throws(Base64Error) {
                return .success(try feed(bytes, into: &output))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Ends the text.
    ///
    /// - Throws: `Base64Error.truncated` inside a group, `.badPadding` when one of two `=` is missing.
    package mutating func finish() throws(Base64Error) {
        if let failure { throw failure }
        if paddingCount == 1, pendingCount == 2 { try fail(.badPadding(offset: offset)) }
        if paddingCount == 0, pendingCount > 0 { try fail(.truncated(length: offset)) }
    }

    // MARK: - Steps

    /// Characters that are decoded on the stack before they are appended.
    private static let pieceLength = 4096

    /// Decodes whole groups up to the first one that is not four digits; returns the characters taken.
    private static func decodeGroups(_ input: UnsafeRawBufferPointer, into output: inout [UInt8]) -> Int {
        Base64Alphabet.standard.values.withUnsafeBufferPointer { values in
            withUnsafeTemporaryAllocation(byteCount: pieceLength / 4 * 3, alignment: 4) { decoded in
                var index = 0
                var count = 0
                while index &+ 4 <= input.count {
                    let a = values[Int(input[index])]
                    let b = values[Int(input[index &+ 1])]
                    let c = values[Int(input[index &+ 2])]
                    let d = values[Int(input[index &+ 3])]
                    guard (a | b | c | d) & 0x80 == 0 else { break }
                    decoded[count] = a &<< 2 | b &>> 4
                    decoded[count &+ 1] = b &<< 4 | c &>> 2
                    decoded[count &+ 2] = c &<< 6 | d
                    index &+= 4
                    count &+= 3
                }
                output.append(contentsOf: decoded[0..<count])
                return index
            }
        }
    }

    private mutating func take(_ character: UInt8, into output: inout [UInt8]) throws(Base64Error) {
        let isComplete = paddingCount > 0 && pendingCount + paddingCount == 4
        if isComplete { try fail(.dataAfterPadding(offset: offset)) }
        if character == Base64Alphabet.padding {
            try takePadding(into: &output)
            offset += 1
            return
        }
        let value = Base64Alphabet.standard.values[Int(character)]
        if value == Base64Alphabet.invalid { try fail(.badCharacter(offset: offset)) }
        if paddingCount > 0 { try fail(.dataAfterPadding(offset: offset)) }
        pending = pending << 6 | UInt32(value)
        pendingCount += 1
        offset += 1
        if pendingCount == 4 {
            output += [UInt8(pending >> 16 & 0xff), UInt8(pending >> 8 & 0xff), UInt8(pending & 0xff)]
            pending = 0
            pendingCount = 0
        }
    }

    /// A `=`: the first one ends the data, so its last bytes are appended here.
    private mutating func takePadding(into output: inout [UInt8]) throws(Base64Error) {
        if pendingCount < 2 { try fail(.badPadding(offset: offset)) }
        paddingCount += 1
        guard paddingCount == 1 else { return }
        let unused: UInt32 = pendingCount == 2 ? 0b1111 : 0b11
        if pending & unused != 0 { try fail(.trailingBits(offset: offset - 1)) }
        if pendingCount == 2 {
            output.append(UInt8(pending >> 4 & 0xff))
        } else {
            output.append(UInt8(pending >> 10 & 0xff))
            output.append(UInt8(pending >> 2 & 0xff))
        }
    }

    private mutating func fail(_ error: Base64Error) throws(Base64Error) {
        failure = error
        throw error
    }
}
