import Contracts
import Core
import HTTP
import ServiceKit

/// The accounts that auth has, for users who are not online.
struct UserDirectory: Sendable {
    let auth: InternalClient

    /// The user of that id; `nil` when auth has none.
    ///
    /// - Throws: `InternalCallError` (503) when auth does not answer.
    func user(_ userID: String, for request: Request) async throws -> PresenceTable.Identity? {
        let answer = try await auth.call(
            .post,
            "/internal/users/lookup",
            UserLookupRequest(userIDs: [userID]),
            as: UserLookup.self,
            requestID: request.id
        )
        return answer.users.first { $0.userID == userID }.map {
            PresenceTable.Identity(userID: $0.userID, userName: $0.userName, userType: $0.userType)
        }
    }
}
