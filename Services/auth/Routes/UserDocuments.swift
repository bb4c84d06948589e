import Core

// The bodies of the routes about accounts.

/// An account, without its password.
struct UserDocument: Encodable, Sendable {
    let userID: String
    let userName: String
    let userType: UserType
    let isAdmin: Bool
    let disabled: Bool
    /// `null`: the stack's default.
    let capacity: Int?
    let createdAt: Timestamp

    init(_ account: Account) {
        userID = account.userID
        userName = account.userName
        userType = account.userType
        isAdmin = account.isAdmin
        disabled = account.isDisabled
        capacity = account.capacity
        createdAt = account.createdAt
    }

    private enum CodingKeys: String, CodingKey {
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case isAdmin = "is_admin"
        case disabled
        case capacity
        case createdAt = "created_at"
    }

    func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(userID, forKey: .userID)
        try values.encode(userName, forKey: .userName)
        try values.encode(userType, forKey: .userType)
        try values.encode(isAdmin, forKey: .isAdmin)
        try values.encode(disabled, forKey: .disabled)
        // There also when it is null, so that a document always has the same members.
        try values.encode(capacity, forKey: .capacity)
        try values.encode(createdAt, forKey: .createdAt)
    }
}

/// `GET /api/users`.
struct UserPage: Encodable, Sendable {
    let users: [UserDocument]
    /// Left out on the last page.
    let nextCursor: String?

    private enum CodingKeys: String, CodingKey {
        case users
        case nextCursor = "next_cursor"
    }
}

/// One of a user's sessions.
struct UserSession: Encodable, Sendable {
    /// A handle to end it by; no session id.
    let session: String
    let createdAt: Timestamp
    let usedAt: Timestamp
    let expiresAt: Timestamp
    let endsAt: Timestamp
    let remoteAddress: String
    let userAgent: String
    /// Whether it is the one that asks.
    let current: Bool

    init(_ summary: SessionSummary, current hash: SessionHash) {
        session = summary.session.hash.handle
        createdAt = summary.session.createdAt
        usedAt = summary.session.usedAt
        expiresAt = summary.session.expiresAt
        endsAt = summary.session.endsAt
        remoteAddress = summary.origin.remoteAddress
        userAgent = summary.origin.userAgent
        current = summary.session.hash == hash
    }

    private enum CodingKeys: String, CodingKey {
        case session
        case createdAt = "created_at"
        case usedAt = "used_at"
        case expiresAt = "expires_at"
        case endsAt = "ends_at"
        case remoteAddress = "remote_address"
        case userAgent = "user_agent"
        case current
    }
}

/// `GET /api/users/{id}/sessions`.
struct UserSessions: Encodable, Sendable {
    let sessions: [UserSession]
}

/// `DELETE /api/users/{id}/sessions`.
struct EndedSessions: Encodable, Sendable {
    let ended: Int
}
