import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Who is a customer and who an agent, as auth has it; answers are kept, since a user's type never changes and ids
/// are never given out again.
final class UserDirectory: Sendable {
    /// The most users held; when full, all are forgotten and asked for again.
    private static let usersMax = 200_000

    static let unknownRecipient = FrameProblem(code: .recipientUnknown, message: "to_user_id: no such user")

    private let auth: InternalClient
    private let types = Mutex<[String: UserType]>([:])

    init(auth: InternalClient) {
        self.auth = auth
    }

    /// A user's type if it is known here.
    ///
    /// To a customer no other customer is: the answer that there is no such user takes as long, and depends on auth, as
    /// for a name that nobody has (DESIGN §4, Isolation).
    func cached(_ userID: String, for asker: Identity) -> UserType? {
        let type = types.withLock { $0[userID] }
        return asker.userType == .customer && type == .customer ? nil : type
    }

    /// A verified session has told a user's type.
    func learn(_ userID: String, _ type: UserType) {
        types.withLock { types in
            if types.count >= Self.usersMax { types.removeAll() }
            types[userID] = type
        }
    }

    /// A user's type, asked of auth when it is not known here.
    ///
    /// - Throws: `FrameProblem` `recipient_unknown`, or `unavailable` when auth does not answer.
    func type(of userID: String, for asker: Identity) async throws(FrameProblem) -> UserType {
        if let known = cached(userID, for: asker) { return known }
        let answer: UserLookup
        do {
            let question = UserLookupRequest(userIDs: [userID])
            answer = try await auth.call(.post, "/internal/users/lookup", question, as: UserLookup.self)
        } catch {
            throw FrameProblem(code: .unavailable, message: "to_user_id: cannot be looked up now; try again")
        }
        guard let user = answer.users.first(where: { $0.userID == userID }) else { throw Self.unknownRecipient }
        learn(userID, user.userType)
        return user.userType
    }
}
