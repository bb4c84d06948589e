internal import CCrypt
internal import Glibc

/// Password hashes by the system's crypt(3), made with yescrypt (crypt(5), prefix `$y$`).
///
/// Holds the 32 KiB of working space that the C library wants, so make one per thread. A hash takes milliseconds and
/// mebibytes (cost 5: about 15 ms and 16 MiB): never on an event loop; see `PasswordHasher`.
package struct PasswordHash: ~Copyable {
    /// Work factors of yescrypt.
    ///
    /// Each step doubles time and memory from 3 on.
    package static let costRange = 1...11
    /// crypt(3)'s CRYPT_MAX_PASSPHRASE_SIZE without the final NUL, in bytes of UTF-8.
    package static let passwordBytesMax = 511

    private let space: UnsafeMutableRawPointer
    private static let spaceLength = MemoryLayout<crypt_data>.size

    package init() {
        space = .allocate(byteCount: Self.spaceLength, alignment: MemoryLayout<crypt_data>.alignment)
        space.initializeMemory(as: UInt8.self, repeating: 0, count: Self.spaceLength)
    }

    deinit {
        explicit_bzero(space, Self.spaceLength)
        space.deallocate()
    }

    /// A new hash of `password` with a fresh salt, as text to store.
    ///
    /// - Parameters:
    ///   - password: At most `passwordBytesMax` bytes, no NUL.
    ///   - cost: In `costRange`.
    /// - Returns: `$y$…`, ASCII.
    /// - Throws: `.passwordTooLong`, `.passwordContainsNUL`, `.systemCall`.
    package func hash(_ password: String, cost: Int) throws(PasswordHashError) -> String {
        try crypt(Self.checked(password), setting: Self.makeSetting(cost: cost), "crypt_rn")
    }

    /// Whether `stored` is a hash of `password`; compared in constant time.
    ///
    /// - Throws: `.storedHashMalformed`, and what `hash` throws for a password that cannot have been hashed.
    package func verify(_ password: String, stored: String) throws(PasswordHashError) -> Bool {
        let password = try Self.checked(password)
        guard !stored.isEmpty, !stored.utf8.contains(0) else { throw .storedHashMalformed }
        return ConstantTime.equal(try crypt(password, setting: stored, nil), stored)
    }

    /// Whether `stored` is anything else than yescrypt at `cost`, so that it is worth making again while the password
    /// is at hand.
    package static func needsRehash(stored: String, cost: Int) -> Bool {
        guard let setting = try? makeSetting(cost: cost), let salt = setting.lastIndex(of: "$") else { return false }
        return !stored.hasPrefix(setting[...salt])
    }

    /// The costs at which one hash each takes the time that verifying `stored` takes less than a hash at `cost`.
    ///
    /// Each step doubles the work, so what was hashed at 4 and one more hash at 4, 5 and 6 make one at 7.
    package static func costsMissing(in stored: String, to cost: Int) -> Range<Int> {
        guard needsRehash(stored: stored, cost: cost),
            let known = costRange.first(where: { !needsRehash(stored: stored, cost: $0) }), known < cost
        else { return cost..<cost }
        return known..<cost
    }

    // MARK: - crypt(3)

    private static func checked(_ password: String) throws(PasswordHashError) -> String {
        guard password.utf8.count <= passwordBytesMax else { throw .passwordTooLong }
        guard !password.utf8.contains(0) else { throw .passwordContainsNUL }
        return password
    }

    /// `$y$<cost>$<salt>`, the salt from the kernel.
    private static func makeSetting(cost: Int) throws(PasswordHashError) -> String {
        precondition(costRange.contains(cost), "yescrypt cost out of range")
        let length = Int(CRYPT_GENSALT_OUTPUT_SIZE)
        let setting: String? = withUnsafeTemporaryAllocation(of: CChar.self, capacity: length) { buffer in
            crypt_gensalt_rn("$y$", UInt(cost), nil, 0, buffer.baseAddress, Int32(length)).map { String(cString: $0) }
        }
        guard let setting else { throw .systemCall("crypt_gensalt_rn", errno: errno) }
        return setting
    }

    /// Calls crypt_rn(3); `call` is what to blame when the setting is ours, `nil` when it comes from storage.
    private func crypt(_ password: String, setting: String, _ call: String?) throws(PasswordHashError) -> String {
        let hash = crypt_rn(password, setting, space, Int32(Self.spaceLength)).map { String(cString: $0) }
        let code = errno
        if let hash { return hash }
        if call == nil, code == EINVAL { throw .storedHashMalformed }
        throw .systemCall(call ?? "crypt_rn", errno: code)
    }
}
