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

    /// Reads the form that our encoder writes: this member alone, without spaces and escapes.
    ///
    /// - Parameter plainText: A request's body.
    /// - Returns: `nil` for any other form, which may well be JSON that means the same.
    package init?(plainText: [UInt8]) {
        let (prefix, suffix) = (Self.prefix, Self.suffix)
        guard plainText.count > prefix.count + suffix.count, plainText.starts(with: prefix),
            plainText[(plainText.count - suffix.count)...].elementsEqual(suffix)
        else { return nil }
        let id = plainText[prefix.count..<plainText.count - suffix.count]
        guard id.allSatisfy(Identifier.isNameByte) else { return nil }
        sessionID = String(decoding: id, as: UTF8.self)
    }

    private static let prefix = Array(#"{"session_id":""#.utf8)
    private static let suffix = Array(#""}"#.utf8)

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

    /// The JSON text, as an encoder would write it at many times the cost.
    package var jsonText: String {
        var text = #"{"active":"# + (active ? "true" : "false")
        append("user_id", userID, to: &text)
        append("user_name", userName, to: &text)
        append("user_type", userType?.rawValue, to: &text)
        if let isAdmin { text += isAdmin ? #","is_admin":true"# : #","is_admin":false"# }
        append("expires_at", expiresAt?.wire, to: &text)
        text += "}"
        return text
    }

    private func append(_ name: StaticString, _ value: String?, to text: inout String) {
        guard let value else { return }
        text += ",\"\(name)\":"
        JSONText.appendQuoted(value, to: &text)
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
