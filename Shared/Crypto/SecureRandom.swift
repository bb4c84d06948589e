internal import CCrypt
internal import Glibc

/// The system's cryptographically secure random numbers (getrandom(2)).
package enum SecureRandom {
    /// Fills `buffer`.
    ///
    /// Blocks only while the kernel has not been seeded since boot, and traps where the system
    /// has no `getrandom`: weak secrets are worse than none.
    package static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        var filled = 0
        while filled < buffer.count {
            let count = getrandom(buffer.baseAddress?.advanced(by: filled), buffer.count - filled, 0)
            if count < 0, errno == EINTR { continue }
            precondition(count > 0, "getrandom failed")
            filled += count
        }
    }

    /// `count` random bytes.
    package static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count]))
            initialized = count
        }
    }

    /// A fresh token: `bytes` random bytes as unpadded base64url.
    ///
    /// 16 bytes are 128 bits and 22 characters.
    package static func token(bytes count: Int = 16) -> String {
        Base64URL.encode(bytes(count))
    }

    /// A random number, all 64 bits of it.
    package static func uint64() -> UInt64 {
        var value: UInt64 = 0
        withUnsafeMutableBytes(of: &value) { fill($0) }
        return value
    }
}
