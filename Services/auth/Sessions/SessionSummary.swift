import Crypto

/// A live session in its user's list.
struct SessionSummary: Sendable, Equatable {
    var session: StoredSession
    let origin: SessionOrigin
}

extension SessionHash {
    /// What a session is called in lists: the hash's first 16 bytes in base64url, which are no way back to the id.
    var handle: String { Base64URL.encode(Array(bytes.prefix(Self.handleBytes))) }

    static let handleBytes = 16

    /// Whether `text` has a handle's form.
    static func isHandle(_ text: String) -> Bool { Base64URL.decode(text)?.count == handleBytes }
}
