package import Core

/// `POST /internal/sessions/check` (auth): which of these sessions are alive; asking counts as using them.
///
/// For whoever holds sessions open beyond a request and keeps only their hashes: after the revocation feed was
/// interrupted, and when a session's expiry comes.
///
/// ```json
/// {"session_hashes":["n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg"]}
/// ```
package struct SessionCheckRequest: Codable, Sendable, Equatable {
    /// base64url SHA-256 of session ids, at most `sessionsMax`.
    package var sessionHashes: [String]

    /// The most sessions in one request; more is 422.
    package static let sessionsMax = 1000

    package init(sessionHashes: [String]) { self.sessionHashes = sessionHashes }

    private enum CodingKeys: String, CodingKey {
        case sessionHashes = "session_hashes"
    }
}

/// The answer: those that are alive; one that is not listed has ended.
///
/// ```json
/// {"alive":[{"session_hash":"n4bQ…","expires_at":"2026-01-27T10:00:00.000Z"}]}
/// ```
package struct SessionCheck: Codable, Sendable, Equatable {
    /// One live session.
    package struct Alive: Codable, Sendable, Equatable {
        package var sessionHash: String
        package var expiresAt: Timestamp

        package init(sessionHash: String, expiresAt: Timestamp) {
            self.sessionHash = sessionHash
            self.expiresAt = expiresAt
        }

        private enum CodingKeys: String, CodingKey {
            case sessionHash = "session_hash"
            case expiresAt = "expires_at"
        }
    }

    package var alive: [Alive]

    package init(alive: [Alive]) { self.alive = alive }
}
