import Core

// The bodies of auth's public routes.

/// `POST /auth/login`.
struct LoginRequest: Decodable, Sendable {
    var username: String
    var password: String
    /// Read case-insensitively, synonyms included; left out: the account's own.
    var userType: String?

    private enum CodingKeys: String, CodingKey {
        case username, password
        case userType = "user_type"
    }
}

/// `POST /auth/logout`; left out when the session is named in the header.
struct LogoutRequest: Decodable, Sendable {
    var sessionID: String?

    private enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
    }
}

/// The answer of `POST /auth/logout`.
struct LogoutDocument: Encodable, Sendable {
    var success = true
}

/// The answer of a login and of a refresh.
struct LoginDocument: Encodable, Sendable {
    var sessionID: String
    var userID: String
    var userName: String
    var userType: UserType
    var expiresAt: Timestamp

    init(_ issued: IssuedSession) {
        sessionID = issued.id
        userID = issued.verified.session.userID
        userName = issued.verified.userName
        userType = issued.verified.userType
        expiresAt = issued.verified.session.expiresAt
    }

    private enum CodingKeys: String, CodingKey {
        case sessionID = "session_id"
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case expiresAt = "expires_at"
    }
}

/// The answer of `GET /auth/session`.
struct SessionDocument: Encodable, Sendable {
    var userID: String
    var userName: String
    var userType: UserType
    var isAdmin: Bool
    var expiresAt: Timestamp

    init(_ verified: VerifiedSession) {
        userID = verified.session.userID
        userName = verified.userName
        userType = verified.userType
        isAdmin = verified.isAdmin
        expiresAt = verified.session.expiresAt
    }

    private enum CodingKeys: String, CodingKey {
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case isAdmin = "is_admin"
        case expiresAt = "expires_at"
    }
}
