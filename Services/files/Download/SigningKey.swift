import Crypto

/// The random key of a directory, made at the first start and kept in a file for the owner only.
enum SigningKey {
    /// Its length, in bytes.
    static let length = 32

    /// The key in `path`, made when it is missing or not whole.
    ///
    /// - Parameters:
    ///   - path: The file; its directory is the process's own.
    ///   - directory: Where `path` is.
    /// - Throws: `FilesError.systemCall`, `.storageFull`.
    static func load(_ path: String, in directory: String) throws -> [UInt8] {
        if let key = try SystemCall.contents(path, countMax: length), key.count == length { return key }
        let key = SecureRandom.bytes(length)
        try SystemCall.replace(path, in: directory, with: key)
        return key
    }
}
