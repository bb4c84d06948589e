import Core
import ServiceKit

/// Lets sessions in for sockets, in the order that DESIGN R12 asks for: the gateway's table knows of a session before
/// auth is asked about it, so that an end that is heard of meanwhile wins.
struct SessionEntrance: Sendable {
    static let ended = FrameProblem(code: .sessionEnded, message: "session_id: has ended or never was")

    let sessions: SessionVerifier
    let pending = PendingSessions()

    /// The session of this id, if it is alive.
    ///
    /// Then it is the caller's to call `pending.end`, once.
    ///
    /// - Throws: `Problem` 401 `session_ended`; 503 while auth is not heard; `InternalCallError`.
    func verify(_ sessionID: String, requestID: String? = nil) async throws -> Session {
        let hash = SessionVerifier.hash(ofSessionID: sessionID)
        pending.begin(hash)
        do {
            try checkFeed()
            guard let session = try await sessions.verify(sessionID: sessionID, requestID: requestID) else {
                throw Problem(
                    401,
                    Self.ended.code,
                    Self.ended.message,
                    headers: [.init("WWW-Authenticate", "Bearer")]
                )
            }
            // Auth may have gone while it was asked, and what answered is the cache.
            try checkFeed()
            return session
        } catch {
            _ = pending.end(hash)
            throw error
        }
    }

    /// The same for a socket that is open, whose user it has to be.
    func verify(_ sessionID: String, of identity: Identity) async throws(FrameProblem) -> Session {
        let session: Session
        do {
            session = try await verify(sessionID)
        } catch let problem as Problem where problem.code == .sessionEnded {
            throw Self.ended
        } catch {
            throw FrameProblem(code: .unavailable, message: "session_id: cannot be verified now; try again")
        }
        guard session.userID == identity.userID, session.userType == identity.userType else {
            _ = pending.end(session.hash)
            throw FrameProblem(code: .sessionMismatch, message: "session_id: must be a session of the same user")
        }
        return session
    }

    /// Without the feed a session's end would not be heard of.
    private func checkFeed() throws(Problem) {
        guard sessions.isFeedFresh else { throw .unavailable("auth does not answer") }
    }
}
