import Contracts
import Core
import HTTP
import ServiceKit

/// What users ask presence (through nginx).
///
/// An agent sees everyone, a customer agents, and themself by name (invariant 7). A user whom the caller may not see
/// does not exist for them.
struct PresenceRoutes: RouteGroup {
    /// The most users in one answer, also without a `limit`.
    static let limitMax = 1000
    /// The largest body of these routes.
    static let bodyBytesMax = 4096

    /// Who asks, or the problem with their session.
    typealias Authenticate = @Sendable (Request) async throws -> Caller

    /// A user by id, online or not; `nil` when there is none of that name.
    typealias LookUp = @Sendable (_ userID: String, _ request: Request) async throws -> PresenceTable.Identity?

    let presence: Presence
    let authenticate: Authenticate
    let lookUp: LookUp

    func register(in router: inout Router) {
        router.add(.get, "/api/presence") { try await list($0) }
        router.add(.get, "/api/users/online") { try await list($0) }
        router.add(.get, "/api/presence/{user_id}") { try await user($0) }
        router.add(.put, "/api/presence/me") { try await setStatus($0) }
        router.add(.get, "/api/presence/me") { try await ownStatus($0) }
    }

    /// `GET /api/presence`.
    private func list(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        let query = request.query
        let page = await presence.list(
            for: caller,
            type: try query.userType(),
            after: try query.cursor(),
            limit: try query.integer("limit", in: 1...Self.limitMax) ?? Self.limitMax
        )
        let now = Timestamp.now()
        let users = page.people.map { $0.document(now: now) }
        return try Response.json(UserList(users: users, nextCursor: page.nextCursor))
    }

    /// `GET /api/presence/{user_id}`.
    private func user(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        let userID = request.parameters["user_id"] ?? ""
        guard Identifier.isUserID(userID) else { throw PresenceError.unknownUser }
        return try await document(of: userID, for: caller, request)
    }

    /// `GET /api/presence/me`.
    private func ownStatus(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        return try await document(of: caller.userID, for: caller, request)
    }

    /// `PUT /api/presence/me`.
    private func setStatus(_ request: Request) async throws -> Response {
        let caller = try await authenticate(request)
        let change = try await request.json(StatusChange.self, upTo: Self.bodyBytesMax)
        let person = try await presence.setStatus(try ChosenStatus(change), of: caller.userID)
        let now = Timestamp.now()
        let shown = PresentUser(
            userID: caller.userID,
            userName: caller.userName,
            userType: caller.userType,
            status: person.map(\.status.shown) ?? .offline,
            lastSeen: person?.document(now: now).lastSeen
        )
        return try Response.json(UserList(users: [shown], nextCursor: nil))
    }

    private func document(of userID: String, for caller: Caller, _ request: Request) async throws -> Response {
        func checkVisible(_ identity: PresenceTable.Identity) throws {
            let isVisible =
                caller.userType == .agent || identity.userType == .agent || identity.userID == caller.userID
            guard isVisible else { throw PresenceError.unknownUser }
        }
        if let person = await presence.person(userID) {
            try checkVisible(person.identity)
            return try Response.json(UserList(users: [person.document(now: .now())], nextCursor: nil))
        }
        guard let identity = try await identity(of: userID, for: caller, request) else {
            throw PresenceError.unknownUser
        }
        try checkVisible(identity)
        let offline = PresentUser(
            userID: identity.userID,
            userName: identity.userName,
            userType: identity.userType,
            status: .offline,
            lastSeen: try await presence.lastSeen(of: userID)
        )
        return try Response.json(UserList(users: [offline], nextCursor: nil))
    }
}

extension PresenceRoutes {
    /// Who somebody is who is not connected; auth need not be asked about the caller, whose session says it.
    private func identity(
        of userID: String,
        for caller: Caller,
        _ request: Request
    ) async throws -> PresenceTable.Identity? {
        guard userID == caller.userID else { return try await lookUp(userID, request) }
        return PresenceTable.Identity(userID: userID, userName: caller.userName, userType: caller.userType)
    }
}

extension ChosenStatus {
    /// What a request asks for.
    ///
    /// - Throws: `Problem` 422 for `Offline`, which nobody chooses.
    init(_ change: StatusChange) throws(Problem) {
        guard let status = Self.allCases.first(where: { $0.shown == change.status }) else {
            throw .invalidField("status", "Online, Busy or Away")
        }
        self = status
    }
}

/// The answer of all routes here.
private struct UserList: Encodable {
    let users: [PresentUser]
    /// Left out on the last page.
    let nextCursor: String?

    private enum CodingKeys: String, CodingKey {
        case users
        case nextCursor = "next_cursor"
    }
}
