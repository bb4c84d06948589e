package import Core

/// `POST /internal/sessions/verify` (auth): whose session this is.
///
/// ```json
/// {"session_id":"dGhlIHNhbXBsZSBub25jZQ"}
/// ```
package struct SessionVerificationRequest: Codable, Sendable, Equatable {
    /// The session's id, a secret: never logged.
    package var sessionID: String

    package init(sessionID: String) {
        self.sessionID = sessionID
    }

    private enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
    }
}

/// The answer of `POST /internal/sessions/verify`.
///
/// ```json
/// {"active":true,"user_id":"user123","user_name":"张三","user_type":"Kehu","is_admin":false,
///  "expires_at":"2026-01-21T10:00:00.000Z"}
/// {"active":false}
/// ```
package struct SessionVerification: Codable, Sendable, Equatable {
    /// Whether the session lives; the other members are there only then.
    package var active: Bool
    package var userID: String?
    /// The display name.
    package var userName: String?
    package var userType: UserType?
    package var isAdmin: Bool?
    package var expiresAt: Timestamp?

    package init(
        active: Bool,
        userID: String? = nil,
        userName: String? = nil,
        userType: UserType? = nil,
        isAdmin: Bool? = nil,
        expiresAt: Timestamp? = nil
    ) {
        self.active = active
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.isAdmin = isAdmin
        self.expiresAt = expiresAt
    }

    private enum CodingKeys: String, CodingKey {
        case active
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case isAdmin = "is_admin"
        case expiresAt = "expires_at"
    }
}
