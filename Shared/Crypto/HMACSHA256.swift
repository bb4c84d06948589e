/// HMAC with SHA-256 (RFC 2104, FIPS 198-1), fed in any split.
package struct HMACSHA256: Sendable {
    /// The length of a code, in bytes.
    package static let codeLength = SHA256.digestLength

    private var inner = SHA256()
    private var outer = SHA256()

    /// - Parameter key: Any length; one over 64 bytes is hashed first, as the RFC says.
    package init(key: [UInt8]) {
        var padded = key.count > BlockBuffer.blockLength ? SHA256.hash(key) : key
        padded += [UInt8](repeating: 0, count: BlockBuffer.blockLength - padded.count)
        inner.update(padded.map { $0 ^ 0x36 })
        outer.update(padded.map { $0 ^ 0x5c })
    }

    /// The code of `message` under `key`.
    package static func code(for message: [UInt8], key: [UInt8]) -> [UInt8] {
        var hmac = HMACSHA256(key: key)
        hmac.update(message)
        return hmac.finalize()
    }

    /// Whether `code` is the whole code of `message` under `key`, in constant time.
    package static func isValid(_ code: [UInt8], for message: [UInt8], key: [UInt8]) -> Bool {
        ConstantTime.equal(code, Self.code(for: message, key: key))
    }

    /// Takes the next bytes of the message.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        inner.update(bytes)
    }

    /// Takes the next bytes of the message.
    package mutating func update(_ bytes: [UInt8]) {
        inner.update(bytes)
    }

    /// The code of everything taken so far; the value is not to be used afterwards.
    package mutating func finalize() -> [UInt8] {
        outer.update(inner.finalize())
        return outer.finalize()
    }
}
