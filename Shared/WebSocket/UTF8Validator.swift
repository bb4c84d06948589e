/// Validates UTF-8 (RFC 3629) in any split.
///
/// Refuses the first byte that cannot be right: overlong forms, surrogates and code points over U+10FFFF already at
/// their second byte.
package struct UTF8Validator: Sendable {
    /// Continuation bytes that are still to come.
    private var needed: UInt8 = 0
    /// Bounds of the next one.
    private var low: UInt8 = 0x80
    private var high: UInt8 = 0xbf

    package init() {}

    /// Whether the text may end here.
    package var isComplete: Bool { needed == 0 }

    /// Whether `bytes` is a whole valid text.
    package static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var validator = UTF8Validator()
        return validator.feed(bytes) && validator.isComplete
    }

    /// Takes the next bytes; `false` as soon as one is wrong, after which the validator is of no more use.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        let count = bytes.count
        var index = 0
        while true {
            while needed > 0, index < count {
                let byte = base.load(fromByteOffset: index, as: UInt8.self)
                guard byte >= low, byte <= high else { return false }
                low = 0x80
                high = 0xbf
                needed &-= 1
                index &+= 1
            }
            index = Self.skipShort(base, index, count)
            guard index < count else { return true }
            guard begin(base.load(fromByteOffset: index, as: UInt8.self)) else { return false }
            index &+= 1
        }
    }

    /// Skips ASCII by words, and valid three-byte sequences (most of Chinese) by one load each.
    @inline(__always)
    private static func skipShort(_ base: UnsafeRawPointer, _ start: Int, _ count: Int) -> Int {
        var index = start
        while index &+ 4 <= count {
            let word = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt32.self))
            if word & 0x8080_8080 == 0 {
                index &+= 4
                while index &+ 8 <= count,
                    base.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
                {
                    index &+= 8
                }
            } else if word & 0x00c0_c0f0 == 0x0080_80e0 {
                // 1110xxxx 10yyyyyy 10zzzzzz: the scalar must be U+0800 or more, and no surrogate.
                let top = (word & 0x0f) &<< 1 | (word >> 13) & 1
                guard top != 0, top != 0b11011 else { return index }
                index &+= 3
            } else if word & 0x80 == 0 {
                index &+= 1
            } else {
                return index
            }
        }
        while index < count, base.load(fromByteOffset: index, as: UInt8.self) < 0x80 { index &+= 1 }
        return index
    }

    /// Takes the first byte of a sequence (RFC 3629 §4).
    private mutating func begin(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x00...0x7f: return true
        case 0xc2...0xdf: needed = 1
        case 0xe0: (needed, low) = (2, 0xa0)
        case 0xed: (needed, high) = (2, 0x9f)
        case 0xe1...0xef: needed = 2
        case 0xf0: (needed, low) = (3, 0x90)
        case 0xf1...0xf3: needed = 3
        case 0xf4: (needed, high) = (3, 0x8f)
        default: return false
        }
        return true
    }
}
