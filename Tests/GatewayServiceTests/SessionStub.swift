import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Auth as a gateway asks it: sessions, their feed, and what is reported; answers what it is told to.
///
/// Its feed answers at once also without news; who follows it then asks again soon.
final class SessionStub: RouteGroup, Sendable {
    struct State {
        /// Whether everything is answered 503.
        var isAway = false
        var sessions: [String: SessionVerification] = [:]
        var epoch = "e1"
        /// The newest number of the feed, and what is kept of it.
        var number = 0
        var kept: [Revocation] = []
        var changed: [(number: Int, userID: String)] = []
        /// While set, verifications wait, with their answer formed already.
        var gate: AsyncStream<Void>?
        var verifications = 0
        /// Polls of the feed that were refused for being away.
        var refusedPolls = 0
        /// What was asked by hash, and for how long what is alive lives then.
        var checks: [[String]] = []
        var checksRefused = 0
        var checkedExpiry: Timestamp?
        /// Reports that were taken, and how many were refused.
        var reports: [AuditReport] = []
        var reportsRefused = 0
        /// Whether reports are answered 422.
        var refusesReports = false
    }

    private let state = Mutex(State())

    func set(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }

    func get<Value: Sendable>(_ read: @Sendable (State) -> Value) -> Value { state.withLock { read($0) } }

    /// A session that is alive until `expiresAt`, an hour from now when left out; an id with `a` is an agent's.
    func add(_ sessionID: String, of userID: String = "u1", until expiresAt: Timestamp? = nil) {
        let verification = SessionVerification(
            active: true,
            userID: userID,
            userName: userID,
            userType: userID.hasPrefix("a") ? .agent : .customer,
            isAdmin: false,
            expiresAt: expiresAt ?? Timestamp.now().advanced(byMilliseconds: 3_600_000)
        )
        state.withLock { $0.sessions[sessionID] = verification }
    }

    /// Ends a session, or replaces it as a refresh does, in the feed too.
    func end(_ sessionID: String, replacedBy: String? = nil) {
        let hash = SessionVerifier.hash(ofSessionID: sessionID)
        let successor = replacedBy.map(SessionVerifier.hash)
        state.withLock { state in
            if replacedBy == nil { state.sessions[sessionID] = nil }
            state.number += 1
            state.kept.append(Revocation(number: state.number, sessionHash: hash, replacedBy: successor))
        }
    }

    /// Changes a user's account, in the feed.
    func change(_ userID: String) {
        state.withLock { state in
            state.number += 1
            state.changed.append((state.number, userID))
        }
    }

    /// Ends a session without a word, as an expiry does.
    func forget(_ sessionID: String) { state.withLock { $0.sessions[sessionID] = nil } }

    func register(in router: inout Router) {
        router.add(.post, "/internal/sessions/verify") { [self] in try await verify($0) }
        router.add(.post, "/internal/sessions/check") { [self] in try await check($0) }
        router.add(.get, "/internal/revocations") { [self] in try revocations($0) }
        router.add(.post, "/internal/audit") { [self] in try await audit($0) }
    }

    private func verify(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionVerificationRequest.self)
        let (answer, gate) = try state.withLock { state in
            guard !state.isAway else { throw Problem.unavailable("away") }
            state.verifications += 1
            return (state.sessions[body.sessionID] ?? SessionVerification(active: false), state.gate)
        }
        if let gate { for await _ in gate {} }
        return try Response.json(answer)
    }

    private func check(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionCheckRequest.self)
        let answer = try state.withLock { state in
            if state.isAway { state.checksRefused += 1 }
            guard !state.isAway else { throw Problem.unavailable("away") }
            state.checks.append(body.sessionHashes)
            let alive = state.sessions.compactMap { sessionID, session in
                (state.checkedExpiry ?? session.expiresAt).map { expiresAt in
                    SessionCheck.Alive(
                        sessionHash: SessionVerifier.hash(ofSessionID: sessionID),
                        expiresAt: expiresAt
                    )
                }
            }
            return SessionCheck(alive: alive.filter { body.sessionHashes.contains($0.sessionHash) })
        }
        return try Response.json(answer)
    }

    private func revocations(_ request: Request) throws -> Response {
        let (epoch, after) = (request.query["epoch"], Int(request.query["after"] ?? ""))
        let page = try state.withLock { state in
            guard !state.isAway else {
                state.refusedPolls += 1
                throw Problem.unavailable("away")
            }
            let trimmed = state.number - state.kept.count - state.changed.count
            guard let after, epoch == state.epoch, after >= trimmed else {
                return RevocationPage(epoch: state.epoch, next: state.number, reset: true)
            }
            let news = state.kept.filter { $0.number > after }
            var page = RevocationPage(epoch: state.epoch, next: state.number, reset: false, revocations: news)
            page.changedUsers = state.changed.filter { $0.number > after }.map(\.userID)
            return page
        }
        return try Response.json(page)
    }

    private func audit(_ request: Request) async throws -> Response {
        let report = try await request.json(AuditReport.self, upTo: 1 << 20)
        try state.withLock { state in
            if state.isAway || state.refusesReports { state.reportsRefused += 1 }
            guard !state.isAway else { throw Problem.unavailable("away") }
            guard !state.refusesReports else { throw Problem.invalidField("entries", "must be others") }
            state.reports.append(report)
        }
        return Response(.noContent)
    }
}

/// Clocks that a test moves on, by milliseconds.
final class ShiftedClocks: Sendable {
    private let wallShift = Atomic<Int64>(0)
    private let monotonicShift = Atomic<Int64>(0)

    func advanceWall(_ milliseconds: Int64) { wallShift.add(milliseconds, ordering: .relaxed) }

    func advanceMonotonic(_ milliseconds: Int64) { monotonicShift.add(milliseconds, ordering: .relaxed) }

    var wall: Timestamp { Timestamp.now().advanced(byMilliseconds: wallShift.load(ordering: .relaxed)) }
    var monotonic: Int64 { Monotonic.milliseconds() + monotonicShift.load(ordering: .relaxed) }
}

/// A number that another thread moves on.
final class HeardNumber: Sendable {
    let value = Atomic(0)
}
