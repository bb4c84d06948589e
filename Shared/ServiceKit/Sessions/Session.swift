package import Contracts
package import Core

/// A live session: who makes the request.
package struct Session: Sendable, Equatable {
    package var userID: String
    /// The display name.
    package var userName: String
    package var userType: UserType
    package var isAdmin: Bool
    package var expiresAt: Timestamp
    /// base64url SHA-256 of the session's id, as revocations name it; the id itself is not kept.
    package var hash: String

    package init(
        userID: String,
        userName: String,
        userType: UserType,
        isAdmin: Bool = false,
        expiresAt: Timestamp,
        hash: String
    ) {
        self.userID = userID
        self.userName = userName
        self.userType = userType
        self.isAdmin = isAdmin
        self.expiresAt = expiresAt
        self.hash = hash
    }

    /// The session of a verification; `nil` when it is not active.
    package init?(_ verification: SessionVerification, hash: String) {
        guard verification.active, let userID = verification.userID, let userName = verification.userName,
            let userType = verification.userType, let expiresAt = verification.expiresAt
        else { return nil }
        self.init(
            userID: userID,
            userName: userName,
            userType: userType,
            isAdmin: verification.isAdmin ?? false,
            expiresAt: expiresAt,
            hash: hash
        )
    }
}
