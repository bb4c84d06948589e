import Contracts
import Core
import HTTP
import ServiceKit

/// Who is online, as presence has it, and what users say about themselves.
struct PresenceDirectory: Sendable {
    /// The most users in one answer.
    static let usersMax = 1000

    let presence: InternalClient

    /// The users online that somebody may see: an agent everyone, a customer the agents (DESIGN §4, Isolation).
    ///
    /// - Throws: `FrameProblem` `unavailable`.
    func online(_ type: UserType?, for identity: Identity) async throws(FrameProblem) -> [PresentUser] {
        guard identity.userType == .agent || type != .customer else { return [] }
        var path = "/internal/users?limit=\(Self.usersMax)"
        if let wanted = identity.userType == .agent ? type : .agent { path += "&user_type=\(wanted.rawValue)" }
        let snapshot = try? await presence.call(.get, path, as: PresenceSnapshot.self)
        guard let snapshot else { throw Self.away }
        return snapshot.users
    }

    /// Stores and shows a user's choice.
    ///
    /// - Throws: `FrameProblem` `unavailable`, `too_many_requests`.
    func setStatus(_ status: PresenceStatus, of userID: String) async throws(FrameProblem) {
        do {
            _ = try await presence.call(
                .put,
                "/internal/users/\(userID)/status",
                StatusChange(status: status),
                as: InternalClient.NoAnswer.self
            )
        } catch {
            guard error.refusedStatus == 429 else { throw Self.away }
            throw FrameProblem(code: .tooManyRequests, message: "Status: too many changes; wait before the next one")
        }
    }

    private static let away = FrameProblem(code: .unavailable, message: "presence does not answer now; try again")
}
