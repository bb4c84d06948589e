/// Masking (RFC 6455 §5.3) by words instead of bytes.
enum Masking {
    /// Masks or unmasks in place.
    ///
    /// - Parameters:
    ///   - bytes: `count` bytes.
    ///   - count: 0 or more.
    ///   - key: Its four bytes as they lie in memory, the first one for the first byte.
    /// - Returns: Whether every byte is ASCII afterwards, which comes free with the pass.
    @inline(__always)
    static func apply(_ bytes: UnsafeMutableRawPointer, _ count: Int, _ key: UInt32) -> Bool {
        let wide = UInt64(key) << 32 | UInt64(key)
        var seen: UInt64 = 0
        var index = 0
        while index &+ 8 <= count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) ^ wide
            bytes.storeBytes(of: word, toByteOffset: index, as: UInt64.self)
            seen |= word
            index &+= 8
        }
        var rest = UInt64(littleEndian: wide)
        while index < count {
            let byte = bytes.load(fromByteOffset: index, as: UInt8.self) ^ UInt8(truncatingIfNeeded: rest)
            bytes.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            seen |= UInt64(byte)
            rest &>>= 8
            index &+= 1
        }
        return seen & 0x8080_8080_8080_8080 == 0
    }

    /// The key for what follows after `count` bytes.
    @inline(__always)
    static func rotated(_ key: UInt32, by count: Int) -> UInt32 {
        let bits = UInt32(truncatingIfNeeded: count & 3) &* 8
        let little = UInt32(littleEndian: key)
        return UInt32(littleEndian: little &>> bits | little &<< (32 &- bits))
    }
}
