import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Who is a customer and who an agent, as auth has it; answers are kept until auth says that the account has changed.
final class UserDirectory: Sendable {
    /// The most users held; when full, all are forgotten and asked for again.
    private static let usersMax = 200_000

    static let unknownRecipient = FrameProblem(code: .recipientUnknown, message: "to_user_id: no such user")

    private let auth: InternalClient
    private let state = Mutex(State())

    private struct State {
        var types: [String: UserType] = [:]
        var changes = UserChanges()
    }

    init(auth: InternalClient) {
        self.auth = auth
    }

    /// A user's type if it is known here.
    ///
    /// To a customer no other customer is: the answer that there is no such user takes as long, and depends on auth, as
    /// for a name that nobody has (DESIGN §4, Isolation).
    func cached(_ userID: String, for asker: Identity) -> UserType? {
        let type = state.withLock { $0.types[userID] }
        return asker.userType == .customer && type == .customer ? nil : type
    }

    /// Taken before auth is asked something that `learn` is then told.
    var mark: Int { state.withLock { $0.changes.mark } }

    /// Auth has told a user's type; not kept if the account has changed since `mark`.
    func learn(_ userID: String, _ type: UserType, since mark: Int) {
        state.withLock { state in
            guard state.changes.isUnchanged(userID, since: mark) else { return }
            if state.types.count >= Self.usersMax { state.types.removeAll() }
            state.types[userID] = type
        }
    }

    /// The user's account has changed, or is gone.
    func forget(_ userID: String) {
        state.withLock { state in
            state.changes.note(userID)
            state.types[userID] = nil
        }
    }

    /// Changes may have been missed.
    func forgetAll() {
        state.withLock { state in
            state.changes.noteAll()
            state.types.removeAll()
        }
    }

    /// A user's type, asked of auth when it is not known here.
    ///
    /// - Throws: `FrameProblem` `recipient_unknown`, or `unavailable` when auth does not answer.
    func type(of userID: String, for asker: Identity) async throws(FrameProblem) -> UserType {
        if let known = cached(userID, for: asker) { return known }
        let answer: UserLookup
        let mark = mark
        do {
            let question = UserLookupRequest(userIDs: [userID])
            answer = try await auth.call(.post, "/internal/users/lookup", question, as: UserLookup.self)
        } catch {
            throw FrameProblem(code: .unavailable, message: "to_user_id: cannot be looked up now; try again")
        }
        guard let user = answer.users.first(where: { $0.userID == userID }) else { throw Self.unknownRecipient }
        learn(userID, user.userType, since: mark)
        return user.userType
    }
}
