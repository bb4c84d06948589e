/// The 64-byte block buffering and final padding that SHA-1 and SHA-256 share (FIPS 180-4 §5.1.1).
struct BlockBuffer {
    static let blockLength = 64

    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var count = 0
    private var total: UInt64 = 0

    /// Takes any number of bytes and hands whole blocks to `compress(first block, number of blocks)`, straight
    /// from the input where it can.
    @inline(__always)
    mutating func update(_ input: UnsafeRawBufferPointer, _ compress: (UnsafeRawPointer, Int) -> Void) {
        guard var source = input.baseAddress, !input.isEmpty else { return }
        var left = input.count
        total &+= UInt64(left)
        if count > 0 {
            let taken = min(left, Self.blockLength - count)
            append(source, taken)
            source += taken
            left -= taken
            guard count == Self.blockLength else { return }
            withUnsafeBytes(of: bytes) { block in
                if let base = block.baseAddress { compress(base, 1) }
            }
            count = 0
        }
        let blocks = left / Self.blockLength
        if blocks > 0 {
            compress(source, blocks)
            source += blocks * Self.blockLength
            left -= blocks * Self.blockLength
        }
        append(source, left)
    }

    /// Pads with a one bit, zeros and the message's length in bits, and compresses what is left.
    @inline(__always)
    mutating func finish(_ compress: (UnsafeRawPointer, Int) -> Void) {
        let bitLength = (total &* 8).bigEndian
        var padding = InlineArray<72, UInt8>(repeating: 0)
        padding[0] = 0x80
        let zeros = (119 - count) % Self.blockLength
        withUnsafeMutableBytes(of: &padding) { raw in
            raw.storeBytes(of: bitLength, toByteOffset: 1 + zeros, as: UInt64.self)
        }
        withUnsafeBytes(of: padding) { raw in
            update(UnsafeRawBufferPointer(rebasing: raw[0..<1 + zeros + 8]), compress)
        }
    }

    /// A digest's words as its bytes.
    static func bigEndian(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in
            withUnsafeBytes(of: word.bigEndian) { [UInt8]($0) }
        }
    }

    private mutating func append(_ source: UnsafeRawPointer, _ length: Int) {
        guard length > 0 else { return }
        let offset = count
        withUnsafeMutableBytes(of: &bytes) { block in
            block.baseAddress?.advanced(by: offset).copyMemory(from: source, byteCount: length)
        }
        count += length
    }
}
