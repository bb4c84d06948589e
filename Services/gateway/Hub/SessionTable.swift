import Core

/// The sessions of one shard, and the ways to find them.
struct SessionTable {
    private(set) var byNumber: [UInt64: ClientSession] = [:]
    /// Arrays, since a user has few.
    private var byUser: [String: [ClientSession]] = [:]
    /// By the hash of the session id, to find those that a revocation ends.
    private var byHash: [String: [UInt64]] = [:]
    private var agents: Set<String> = []

    var count: Int { byNumber.count }
    var all: some Collection<ClientSession> { byNumber.values }

    /// The hashes of all sessions, for verifying each again.
    var hashes: [String] { Array(byHash.keys) }

    /// Everybody who has a session here.
    var userIDs: [String] { Array(byUser.keys) }

    subscript(number: UInt64) -> ClientSession? { byNumber[number] }

    /// A user's sessions here.
    func sessions(of userID: String) -> [ClientSession] { byUser[userID] ?? [] }

    /// The sessions opened with one session id.
    func sessions(hash: String) -> [ClientSession] { (byHash[hash] ?? []).compactMap { byNumber[$0] } }

    /// Every agent's sessions, an agent's own together.
    func forEachAgent(_ body: ([ClientSession]) -> Void) {
        for agent in agents { body(sessions(of: agent)) }
    }

    mutating func insert(_ session: ClientSession) {
        byNumber[session.id.number] = session
        byHash[session.sessionHash, default: []].append(session.id.number)
        byUser[session.identity.userID, default: []].append(session)
        if session.identity.userType == .agent { agents.insert(session.identity.userID) }
    }

    /// Takes a session out.
    ///
    /// - Returns: Whether it was there, and whether it was the user's last.
    mutating func remove(_ session: ClientSession) -> (wasThere: Bool, wasLast: Bool) {
        guard byNumber.removeValue(forKey: session.id.number) != nil else { return (false, false) }
        forget(session)
        let userID = session.identity.userID
        byUser[userID]?.removeAll { $0 === session }
        guard byUser[userID]?.isEmpty == true else { return (true, false) }
        byUser[userID] = nil
        agents.remove(userID)
        return (true, true)
    }

    /// A session goes on under a refreshed id, or a socket under another session.
    mutating func rename(_ session: ClientSession, to hash: String, expiresAt: Timestamp) {
        forget(session)
        session.sessionContinues(hash: hash, expiresAt: expiresAt)
        byHash[hash, default: []].append(session.id.number)
    }

    private mutating func forget(_ session: ClientSession) {
        byHash[session.sessionHash]?.removeAll { $0 == session.id.number }
        if byHash[session.sessionHash]?.isEmpty == true { byHash[session.sessionHash] = nil }
    }
}
