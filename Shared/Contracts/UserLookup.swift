package import Core

/// `POST /internal/users/lookup` (auth): the public side of accounts.
///
/// ```json
/// {"user_ids":["user123","support001"]}
/// ```
package struct UserLookupRequest: Codable, Sendable, Equatable {
    /// At most `userIDsMax`.
    package var userIDs: [String]

    /// The most ids in one request; more is 422.
    package static let userIDsMax = 100

    package init(userIDs: [String]) {
        self.userIDs = userIDs
    }

    private enum CodingKeys: String, CodingKey {
        case userIDs = "user_ids"
    }
}

/// The answer of `POST /internal/users/lookup`.
///
/// ```json
/// {"users":[{"user_id":"user123","user_name":"张三","user_type":"Kehu","disabled":false}]}
/// ```
package struct UserLookup: Codable, Sendable, Equatable {
    /// In no particular order; ids without an account are left out.
    package var users: [UserSummary]

    package init(users: [UserSummary]) {
        self.users = users
    }

    private enum CodingKeys: String, CodingKey {
        case users
    }
}

/// One account of a look-up.
///
/// ```json
/// {"user_id":"user123","user_name":"张三","user_type":"Kehu","disabled":false}
/// ```
package struct UserSummary: Codable, Sendable, Equatable {
    package var userID: String
    /// The display name.
    package var userName: String
    package var userType: UserType
    package var disabled: Bool
    /// Conversations at once, for an agent whose account says so.
    package var capacity: Int?

    package init(userID: String, userName: String, userType: UserType, disabled: Bool, capacity: Int? = nil) {
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.disabled = disabled
        self.capacity = capacity
    }

    private enum CodingKeys: String, CodingKey {
        case userID = "user_id"
        case userName = "user_name"
        case userType = "user_type"
        case disabled
        case capacity
    }
}
