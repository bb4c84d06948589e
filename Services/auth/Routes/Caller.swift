import Core
import HTTP
import ServiceKit

/// Who makes a request, for what each role may do.
struct Caller: Sendable {
    let verified: VerifiedSession
    /// For the audit trail.
    let actor: Actor

    var userID: String { verified.session.userID }
    var isAdmin: Bool { verified.isAdmin }

    /// The user that a path names; `me` is the caller.
    func named(_ segment: String?) -> String {
        guard let segment, segment != "me" else { return userID }
        return segment
    }

    /// Refuses anybody else than the user and administrators, without looking whether there is such a user.
    ///
    /// - Throws: `AuthError.forbidden`.
    func requireSelfOrAdmin(_ userID: String) throws(AuthError) {
        guard userID == self.userID || isAdmin else {
            throw .forbidden("user_id: is not the session's; only administrators may")
        }
    }

    /// - Throws: `AuthError.forbidden`.
    func requireAdmin() throws(AuthError) {
        guard isAdmin else { throw .forbidden("only administrators may") }
    }
}

extension SessionService {
    /// The caller of a request.
    ///
    /// - Throws: `AuthError.sessionMissing`, `.sessionEnded`; what the store throws.
    func caller(of request: Request) async throws -> Caller {
        guard let id = SessionCredential.find(in: request) else { throw AuthError.sessionMissing }
        guard let verified = try await verify(id) else { throw AuthError.sessionEnded }
        return Caller(verified: verified, actor: Actor(request, userID: verified.session.userID))
    }
}

extension Actor {
    init(_ request: Request, userID: String? = nil) {
        self.init(userID: userID, remoteAddress: request.remoteAddress, requestID: request.id)
    }
}

extension SessionOrigin {
    init(_ request: Request) {
        self.init(remoteAddress: request.remoteAddress, userAgent: request.headers["User-Agent"] ?? "")
    }
}
