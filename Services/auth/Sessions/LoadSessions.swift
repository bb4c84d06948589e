import Core

/// Accounts and sessions for load tests, made straight in the store: nobody can log in to these accounts.
struct LoadSessions {
    let store: any AuthStore
    var limits = SessionLimits()

    /// The most in one call.
    static let countMax = 1_000_000
    /// Accounts and sessions of one transaction.
    private static let batch = 1000

    /// One session.
    struct Line: Sendable, Equatable {
        let userID: String
        let sessionID: String
        let userType: UserType
    }

    /// Makes `count` users with a session each.
    ///
    /// A customer and an agent in turn until there are `agents` agents, then customers. Users of an earlier call get
    /// another session.
    ///
    /// - Parameter emit: Given each batch once it is stored.
    func create(count: Int, agents: Int, now: Timestamp, emit: ([Line]) throws -> Void) async throws {
        for start in stride(from: 0, to: count, by: Self.batch) {
            let users = (start..<min(start + Self.batch, count)).map { index in
                let userType: UserType = index % 2 == 1 && index / 2 < agents ? .agent : .customer
                return (id: Self.userID(index + 1, userType), userType: userType)
            }
            let known = Set(try await store.accounts(users.map(\.id)).map(\.userID))
            let new = users.filter { !known.contains($0.id) }
            try await store.createAccounts(
                new.map { Account(userID: $0.id, userName: $0.id, userType: $0.userType, createdAt: now) },
                audit: []
            )
            let lines = users.map { Line(userID: $0.id, sessionID: SessionID.make(), userType: $0.userType) }
            let sessions = lines.map { line in
                limits.begin(SessionHash(of: line.sessionID), userID: line.userID, now: now)
            }
            try await store.createSessions(sessions, sessionsPerUserMax: limits.sessionsPerUserMax, now: now)
            try emit(lines)
        }
    }

    /// `load-c000001`, `load-a000002`: the letter keeps an id to one user type whatever `--agents` was.
    private static func userID(_ number: Int, _ userType: UserType) -> String {
        let digits = String(number)
        let padding = String(repeating: "0", count: max(0, 6 - digits.count))
        return "load-" + (userType == .agent ? "a" : "c") + padding + digits
    }
}
