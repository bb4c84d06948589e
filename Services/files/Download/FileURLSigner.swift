import Core
import Crypto

/// URLs of files for tags that cannot send a session, such as `<img>`:
/// `/files/{file_id}?expires=UNIX&signature=BASE64URL`.
///
/// The signature is HMAC-SHA-256 over the file's id and the expiry. Who has such a URL reads that file until it
/// expires; nothing about the holder is in it.
struct FileURLSigner: Sendable {
    /// The URL and its end.
    struct SignedURL: Encodable, Sendable, Equatable {
        /// A path and a query.
        let url: String
        let expiresAt: Timestamp

        private enum CodingKeys: String, CodingKey {
            case url
            case expiresAt = "expires_at"
        }
    }

    private let key: [UInt8]
    private let lifetimeSeconds: Int64

    /// - Parameters:
    ///   - key: At least 32 bytes that nobody else knows.
    ///   - lifetimeSeconds: How long a URL is good.
    init(key: [UInt8], lifetimeSeconds: Int64) {
        self.key = key
        self.lifetimeSeconds = lifetimeSeconds
    }

    /// A URL of the file, good for the lifetime from `now`, up to the next whole second.
    func sign(_ fileID: String, now: Timestamp) -> SignedURL {
        let expires = (now.milliseconds + 999) / 1000 + lifetimeSeconds
        let signature = Base64URL.encode(code(fileID, expires))
        return SignedURL(
            url: "/files/\(fileID)?expires=\(expires)&signature=\(signature)",
            expiresAt: Timestamp(milliseconds: expires * 1000)
        )
    }

    /// Whether a URL was signed here, unchanged, and has not expired.
    ///
    /// The time taken does not tell where a signature differs.
    func accepts(_ fileID: String, expires: String, signature: String, now: Timestamp) -> Bool {
        // Only the text that `sign` writes: no sign, no leading zero.
        guard let seconds = Int64(expires), String(seconds) == expires, let given = Base64URL.decode(signature),
            HMACSHA256.isValid(given, for: message(fileID, seconds), key: key)
        else { return false }
        return now.milliseconds < seconds * 1000
    }

    private func code(_ fileID: String, _ expires: Int64) -> [UInt8] {
        HMACSHA256.code(for: message(fileID, expires), key: key)
    }

    /// Says what it is for, so that a code for anything else under the same secret is none for this.
    private func message(_ fileID: String, _ expires: Int64) -> [UInt8] {
        Array("support-chat file url\n\(fileID)\n\(expires)".utf8)
    }
}
