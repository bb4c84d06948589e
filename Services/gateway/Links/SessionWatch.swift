import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Keeps open sockets to their sessions: asks auth again about those whose expiry has come, and about all after the
/// revocation feed was interrupted; closes all when auth has not been heard for a minute (DESIGN R12).
final class SessionWatch: Sendable {
    private static let interval = Duration.milliseconds(250)
    private static let silenceMax = Duration.seconds(60)

    private struct State {
        /// Sessions to ask about; bounded by the gateway's connections.
        var doubtful: Set<String> = []
        var areAllDoubtful = false
    }

    private let auth: InternalClient
    private let sessions: SessionVerifier
    private let state = Mutex(State())

    init(auth: InternalClient, sessions: SessionVerifier) {
        self.auth = auth
        self.sessions = sessions
    }

    /// Has the gateway told of what the feed says, and itself of what the gateway's shards doubt.
    func keep(_ gateway: Gateway) {
        sessions.observe(
            onRevoked: { gateway.sessionRevoked(hash: $0.sessionHash, replacedBy: $0.replacedBy) },
            onUserChanged: { gateway.directory.forget($0) },
            onReset: {
                gateway.directory.forgetAll()
                self.doubtAll()
            }
        )
        gateway.onEachLoop { shard in shard.onExpired = { self.doubt($0) } }
    }

    /// Their expiry has come, or nears: perhaps they live on.
    func doubt(_ hashes: [String]) { state.withLock { $0.doubtful.formUnion(hashes) } }

    /// Revocations may have been missed.
    func doubtAll() { state.withLock { $0.areAllDoubtful = true } }

    /// Watches until cancelled.
    func run(_ gateway: Gateway) async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            if sessions.feedSilence > Self.silenceMax { gateway.onEachLoop { $0.closeAll(.overload) } }
            let wantsAll = state.withLock { state in
                defer { state.areAllDoubtful = false }
                return state.areAllDoubtful
            }
            if wantsAll { gateway.onEachLoop { self.doubt($0.sessions.hashes) } }
            await askAboutSome(gateway)
        }
    }

    private func askAboutSome(_ gateway: Gateway) async {
        while true {
            let hashes = state.withLock { Array($0.doubtful.prefix(SessionCheckRequest.sessionsMax)) }
            guard !hashes.isEmpty else { return }
            let question = SessionCheckRequest(sessionHashes: hashes)
            guard let answer = try? await auth.call(.post, "/internal/sessions/check", question, as: SessionCheck.self)
            else { return }
            state.withLock { $0.doubtful.subtract(hashes) }
            let ended = Set(hashes).subtracting(answer.alive.map(\.sessionHash))
            for hash in ended { gateway.sessionRevoked(hash: hash, replacedBy: nil) }
            gateway.onEachLoop { shard in
                for session in answer.alive {
                    shard.sessionAlive(hash: session.sessionHash, expiresAt: session.expiresAt)
                }
            }
        }
    }
}
