import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Synchronization

/// The part of auth that verifiers talk to, on a real server: sessions, and the revocation feed as a long poll.
final class AuthStub: Sendable {
    struct State {
        var sessions: [String: SessionVerification] = [:]
        var epoch = "e1"
        /// What the feed has told: ends of sessions, and changes of accounts.
        var news: [News] = []
        /// Whether verifications are answered 503.
        var isAway = false
        var verifications = 0
        /// When set, verifications wait until it is finished.
        var gate: AsyncStream<Void>?
        var waiters: [CheckedContinuation<Void, Never>] = []
        var polls = 0
    }

    enum News {
        case revocation(Revocation)
        case changed(String)
    }

    let state = Mutex(State())
    let process: ServiceProcess
    let server: ListeningServer

    init() throws {
        let settings = try Settings.development(["auth.listen": "127.0.0.1:0"])
        process = try ServiceProcess("auth", settings: settings, log: Log(service: "auth", level: .error))
        var router = Router()
        let shared = Handlers()
        router.add(.post, "/internal/sessions/verify") { try await shared.stub().verify($0) }
        router.add(.get, "/internal/revocations") { try await shared.stub().revocations($0) }
        server = try process.listen(at: SettingsCatalogue.authListen, router)
        shared.set(self)
    }

    /// Lets the routes find the stub, which exists only after them.
    private final class Handlers: Sendable {
        private let owner = Mutex<AuthStub?>(nil)
        func set(_ stub: AuthStub) { owner.withLock { $0 = stub } }
        func stub() throws -> AuthStub {
            guard let stub = owner.withLock({ $0 }) else { throw Problem.unavailable("starting") }
            return stub
        }
    }

    /// Settings under which a service finds this stub.
    func settings() throws -> Settings {
        try Settings.development(["auth.url": "http://\(server.address)", "presence.listen": "127.0.0.1:0"])
    }

    func add(_ sessionID: String, user: String = "u1") {
        state.withLock {
            $0.sessions[sessionID] = SessionVerification(
                active: true,
                userID: user,
                userName: "U",
                userType: .agent,
                isAdmin: true,
                expiresAt: Timestamp(milliseconds: Timestamp.now().milliseconds + 3_600_000)
            )
        }
    }

    /// Ends a session, in the feed too.
    func revoke(_ sessionID: String) {
        tell { state in
            state.sessions[sessionID] = nil
            let hash = SessionVerifier.hash(ofSessionID: sessionID)
            return .revocation(Revocation(number: state.news.count + 1, sessionHash: hash))
        }
    }

    /// A user's account changes, in the feed.
    func change(user: String) { tell { _ in .changed(user) } }

    private func tell(_ make: (inout State) -> News) {
        let waiters = state.withLock { state in
            let news = make(&state)
            state.news.append(news)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    var verifications: Int { state.withLock { $0.verifications } }

    private func verify(_ request: Request) async throws -> Response {
        let body = try await request.json(SessionVerificationRequest.self)
        // The answer is formed before the gate, so that a test can overtake it.
        let (answer, gate) = try state.withLock { state in
            state.verifications += 1
            guard !state.isAway else { throw Problem.unavailable("away") }
            return (state.sessions[body.sessionID] ?? SessionVerification(active: false), state.gate)
        }
        if let gate { for await _ in gate {} }
        return try Response.json(answer)
    }

    private func revocations(_ request: Request) async throws -> Response {
        let after = Int(request.query["after"] ?? "")
        let epoch = request.query["epoch"]
        while true {
            let page: RevocationPage? = state.withLock { state in
                state.polls += 1
                let next = state.news.count
                guard let after, epoch == state.epoch else {
                    return RevocationPage(epoch: state.epoch, next: next, reset: true, revocations: [])
                }
                guard next > after else { return nil }
                var answer = RevocationPage(epoch: state.epoch, next: next, reset: false)
                for news in state.news[after...] {
                    switch news {
                    case .revocation(let revocation): answer.revocations.append(revocation)
                    case .changed(let user): answer.changedUsers.append(user)
                    }
                }
                return answer
            }
            if let page { return try Response.json(page) }
            await withCheckedContinuation { waiter in state.withLock { $0.waiters.append(waiter) } }
        }
    }
}
