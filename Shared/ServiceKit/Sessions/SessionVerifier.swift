package import Contracts
package import Core
import Crypto
package import HTTP
import Synchronization

/// Tells who makes a request by asking auth, with a short cache that auth's revocation feed keeps honest.
///
/// `follow` must run as long as the process does. Whoever holds sessions open beyond a request (the gateway's sockets)
/// observes the feed through `observe`.
package final class SessionVerifier: Sendable {
    private enum Answer: Sendable {
        case session(Session?)
        case failed(InternalCallError)
        /// Whoever asked gave up, or the answer was outdated.
        case again
        case full
    }

    private struct State {
        var cache: SessionCache
        var waiters: [String: [CheckedContinuation<Answer, Never>]] = [:]
        var onRevoked: [@Sendable (Revocation) -> Void] = []
        var onUserChanged: [@Sendable (String) -> Void] = []
        var onReset: [@Sendable () -> Void] = []
    }

    private let auth: InternalClient
    private let log: Log
    private let now: @Sendable () -> Int64
    private let state: Mutex<State>

    /// How long one poll of the feed waits for news, in seconds: less than the silence that counts.
    private static let pollSeconds = 2
    /// Requests that wait for one answer about the same session; one more gets 503.
    private static let waitersMax = 1000
    /// How often an outdated answer is asked for again.
    private static let roundsMax = 4

    /// - Parameters:
    ///   - auth: The client for the auth service.
    ///   - log: Told when the feed breaks off and comes back.
    ///   - metrics: Gets the cache's size and the feed's silence.
    ///   - now: Monotonic milliseconds.
    package init(
        auth: InternalClient,
        log: Log,
        metrics: Metrics,
        now: @escaping @Sendable () -> Int64 = { Monotonic.milliseconds() }
    ) {
        self.auth = auth
        self.log = log
        self.now = now
        state = Mutex(State(cache: SessionCache(now: now())))
        metrics.read("session_cache_entries", help: "Sessions known without asking auth.") { [weak self] in
            Double(self?.state.withLock { $0.cache.count } ?? 0)
        }
        metrics.read("session_feed_silence_seconds", help: "Since the revocation feed last answered.") { [weak self] in
            self.map { $0.feedSilence / .seconds(1) } ?? 0
        }
    }

    /// The hash by which revocations name a session: base64url SHA-256 of its id.
    package static func hash(ofSessionID sessionID: String) -> String {
        Base64URL.encode(SHA256.hash(sessionID))
    }

    // MARK: - Requests

    /// The session of an ordinary request.
    ///
    /// - Throws: `Problem` 401 without a live session; `InternalCallError` (503) when auth does not answer.
    package func require(_ request: Request) async throws -> Session {
        guard let sessionID = SessionCredential.find(in: request) else {
            throw Problem.unauthenticated("a session is required: X-Session-Id, Authorization: Bearer, or the cookie")
        }
        guard let session = try await verify(sessionID: sessionID, requestID: request.id) else {
            throw Problem(
                401,
                .sessionEnded,
                "the session has ended or never was",
                headers: [.init("WWW-Authenticate", "Bearer")]
            )
        }
        return session
    }

    /// The session of this id; `nil` when it is not alive.
    ///
    /// Requests for the same session at the same time ask auth once. When auth does not answer, a session that it
    /// verified in the last 30 s is served all the same, unless something was heard against it since.
    ///
    /// - Throws: `InternalCallError` when auth does not answer, `Problem` 503 at a limit.
    package func verify(sessionID: String, requestID: String? = nil) async throws -> Session? {
        let hash = Self.hash(ofSessionID: sessionID)
        for _ in 0..<Self.roundsMax {
            let lookup = state.withLock { $0.cache.look(hash, now: now(), wallClock: .now()) }
            let answer: Answer
            switch lookup {
            case .known(let session): return session
            case .full: answer = .full
            case .ask: answer = await ask(sessionID, hash, requestID)
            case .wait: answer = await wait(hash)
            }
            switch answer {
            case .session(let session): return session
            case .failed(let error): throw error
            case .full: throw Problem.unavailable("too many sessions are being verified")
            case .again:
                if Task.isCancelled { throw InternalCallError.cancelled }
            }
        }
        throw Problem.unavailable("the session keeps changing")
    }

    /// Asks auth, and tells everybody who waits for the same answer.
    private func ask(_ sessionID: String, _ hash: String, _ requestID: String?) async -> Answer {
        let verified: Result<Session?, InternalCallError>
        do throws(InternalCallError) {
            let verification = try await auth.call(
                .post,
                "/internal/sessions/verify",
                SessionVerificationRequest(sessionID: sessionID),
                as: SessionVerification.self,
                requestID: requestID
            )
            verified = .success(Session(verification, hash: hash).flatMap { $0.expiresAt > .now() ? $0 : nil })
        } catch {
            verified = .failure(error)
        }
        // In one step, so that nobody who asks later is told this answer.
        let (answer, waiters) = state.withLock { state in
            (settle(hash, verified, &state.cache), state.waiters.removeValue(forKey: hash) ?? [])
        }
        for waiter in waiters { waiter.resume(returning: answer) }
        return answer
    }

    private func settle(
        _ hash: String,
        _ verified: Result<Session?, InternalCallError>,
        _ cache: inout SessionCache
    ) -> Answer {
        switch verified {
        case .success(let session):
            switch cache.finish(hash, session) {
            case .answer(let session): return .session(session)
            case .again: return .again
            }
        case .failure(let error):
            let known = cache.fail(hash, now: now(), wallClock: .now())
            // That this request was given up says nothing to the others.
            if error == .cancelled { return .again }
            return known.map { .session($0) } ?? .failed(error)
        }
    }

    private func wait(_ hash: String) async -> Answer {
        await withCheckedContinuation { continuation in
            // The answer may have come since the look-up.
            let immediate: Answer? = state.withLock { state in
                guard state.cache.isAsking(hash) else { return .again }
                guard state.waiters[hash, default: []].count < Self.waitersMax else { return .full }
                state.waiters[hash, default: []].append(continuation)
                return nil
            }
            if let immediate { continuation.resume(returning: immediate) }
        }
    }

    // MARK: - The feed

    /// Has news of the feed handed on, in its order, from the task that runs `follow`.
    ///
    /// - Parameters:
    ///   - onRevoked: A session has ended, or was replaced by the one named.
    ///   - onUserChanged: The user's account has changed, or is gone: what was read of it must be read again.
    ///   - onReset: Both may have been missed: every session in use must be verified again, every account read again.
    package func observe(
        onRevoked: @escaping @Sendable (Revocation) -> Void = { _ in },
        onUserChanged: @escaping @Sendable (String) -> Void = { _ in },
        onReset: @escaping @Sendable () -> Void
    ) {
        state.withLock { state in
            state.onRevoked.append(onRevoked)
            state.onUserChanged.append(onUserChanged)
            state.onReset.append(onReset)
        }
    }

    /// How long the feed has not answered.
    package var feedSilence: Duration {
        .milliseconds(state.withLock { $0.cache.silence(now: now()) })
    }

    /// Whether revocations are being heard: the last answer is at most 5 s old.
    package var isFeedFresh: Bool {
        state.withLock { $0.cache.isFeedFresh(now: now()) }
    }

    /// Whether auth is heard, for `/readyz`.
    package var healthCheck: HealthCheck {
        HealthCheck("auth") { [self] in
            guard isFeedFresh else { throw InternalCallError.unavailable(service: "auth", reason: "feed silent") }
        }
    }

    /// Follows the revocation feed until the task is cancelled, asking again with growing pauses while auth is away.
    package func follow() async {
        var position: (epoch: String, after: Int)?
        var backoff = Backoff()
        while !Task.isCancelled {
            let started = now()
            do {
                let page = try await poll(position)
                position = (page.epoch, page.next)
                take(page)
                if backoff.succeeded() { log.info("session_feed_connected", ["epoch": .string(page.epoch)]) }
                // An auth that does not wait must not be asked without end.
                if !page.reset, page.revocations.isEmpty, page.changedUsers.isEmpty, now() - started < 50 {
                    try? await Task.sleep(for: .milliseconds(100))
                }
            } catch {
                if Task.isCancelled { return }
                if backoff.isFirst { log.warning("session_feed_lost", ["reason": .string(String(describing: error))]) }
                try? await Task.sleep(for: backoff.failed())
            }
        }
    }

    private func poll(_ position: (epoch: String, after: Int)?) async throws(InternalCallError) -> RevocationPage {
        var target = "/internal/revocations?wait=\(Self.pollSeconds)"
        if let position {
            target += "&epoch=\(PercentEncoding.encode(position.epoch))&after=\(position.after)"
        }
        return try await auth.call(
            .get,
            target,
            as: RevocationPage.self,
            options: .longPoll(waitSeconds: Self.pollSeconds)
        )
    }

    private func take(_ page: RevocationPage) {
        let (onRevoked, onUserChanged, onReset) = state.withLock { state in
            if page.reset { state.cache.reset() }
            for revocation in page.revocations { state.cache.revoke(revocation) }
            for userID in page.changedUsers { state.cache.userChanged(userID) }
            state.cache.feedAnswered(now: now())
            return (state.onRevoked, state.onUserChanged, state.onReset)
        }
        if page.reset { for call in onReset { call() } }
        for revocation in page.revocations {
            for call in onRevoked { call(revocation) }
        }
        for userID in page.changedUsers {
            for call in onUserChanged { call(userID) }
        }
    }
}
