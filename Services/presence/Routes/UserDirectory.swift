import Contracts
import Core
import HTTP
import ServiceKit

/// The accounts that auth has.
struct UserDirectory: Sendable {
    let auth: InternalClient

    /// The user of that id; `nil` when auth has none.
    ///
    /// - Throws: `InternalCallError` (503) when auth does not answer.
    func user(_ userID: String, for request: Request) async throws -> PresenceTable.Identity? {
        try await accounts([userID], requestID: request.id).first { $0.userID == userID }.map {
            PresenceTable.Identity(userID: $0.userID, userName: $0.userName, userType: $0.userType)
        }
    }

    /// The accounts among the ids, at most `UserLookupRequest.userIDsMax` of them.
    ///
    /// - Throws: `InternalCallError` when auth does not answer.
    func accounts(_ userIDs: [String], requestID: String? = nil) async throws -> [UserSummary] {
        try await auth.call(
            .post,
            "/internal/users/lookup",
            UserLookupRequest(userIDs: userIDs),
            as: UserLookup.self,
            requestID: requestID
        ).users
    }
}
