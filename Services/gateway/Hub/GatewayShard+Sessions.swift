import Core
import Net
import ServiceKit
import Transport

/// What becomes of the sessions that sockets belong to: their ends, their refreshes, and what is said of both.
extension GatewayShard {
    private static let expiryInterval = Duration.milliseconds(150)
    /// How long after a question about a session it is asked again, if nothing has come of it.
    private static let questionMilliseconds: Int64 = 1000

    /// Sessions whose id was refreshed or has ended.
    func sessionRevoked(hash: String, replacedBy: String?) {
        for session in sessions.sessions(hash: hash) {
            if let replacedBy {
                sessions.rename(session, to: replacedBy, expiresAt: session.expiresAt)
            } else {
                session.close(.sessionEnded)
            }
        }
    }

    /// A session was found alive, until then; its clients are told when that is soon.
    func sessionAlive(hash: String, expiresAt: Timestamp) {
        let isSoon = expiresAt <= wallClock().advanced(byMilliseconds: limits.sessionWarningMilliseconds)
        for session in sessions.sessions(hash: hash) {
            session.sessionContinues(hash: hash, expiresAt: expiresAt)
            if isSoon { session.warnOfExpiry() }
            watchExpiry(of: session)
        }
    }

    /// A socket's client has brought another session of the same user.
    ///
    /// - Parameter verdict: What became of that session while auth was asked about it.
    /// - Throws: `FrameProblem` when it has ended.
    func renew(
        _ session: ClientSession,
        _ fresh: Session,
        _ verdict: PendingSessions.Verdict
    ) throws(FrameProblem) {
        guard verdict != .revoked else { throw SessionEntrance.ended }
        sessions.rename(session, to: verdict.hash(of: fresh.hash), expiresAt: fresh.expiresAt)
        watchExpiry(of: session)
    }

    // MARK: - Time

    /// Starts looking for sessions that end.
    func startExpiring() {
        _ = loop.schedule(after: Self.expiryInterval) { [self] in
            expire()
            startExpiring()
        }
    }

    /// Looks at a session when the time for a warning has come, and when it ends.
    func watchExpiry(of session: ClientSession) { expiries.enter(session.id.number, due: due(session)) }

    private func due(_ session: ClientSession) -> Timestamp {
        let isWarned = session.warnedOf == session.expiresAt
        return isWarned
            ? session.expiresAt : session.expiresAt.advanced(byMilliseconds: -limits.sessionWarningMilliseconds)
    }

    private func expire() {
        let now = wallClock()
        var questions: [String] = []
        for number in expiries.takeDue(now: now) {
            guard let session = sessions[number], session.connection.isOpen else { continue }
            var due = due(session)
            if due <= now {
                // Use elsewhere may have lengthened it; the asking does, where the session allows it.
                questions.append(session.sessionHash)
                due = now.advanced(byMilliseconds: Self.questionMilliseconds)
            }
            expiries.enter(number, due: due)
        }
        if !questions.isEmpty { onExpired?(questions) }
    }
}
