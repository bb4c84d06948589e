import Contracts
import Core
import Foundation
import Glibc
import HTTP
import Net
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("Session verifier, against a server", .timeLimit(.minutes(5)))
struct SessionVerifierTests {
    private let auth: AuthStub
    private let process: ServiceProcess

    init() throws {
        auth = try AuthStub()
        process = try ServiceProcess("test", settings: auth.settings(), log: Log(service: "test", level: .error))
    }

    private func request(_ sessionID: String) -> Request {
        Fixtures.request(.get, "/", ["X-Session-Id": sessionID])
    }

    @Test("a live session is known after one question; a dead one is 401")
    func verify() async throws {
        auth.add("s1")
        let sessions = process.makeSessionVerifier()
        #expect(await eventually { sessions.isFeedFresh })
        let session = try await sessions.require(request("s1"))
        #expect(session.userID == "u1" && session.userType == .agent && session.isAdmin)
        #expect(session.hash == SessionVerifier.hash(ofSessionID: "s1"))
        _ = try await sessions.require(request("s1"))
        #expect(auth.verifications == 1)
        do {
            _ = try await sessions.require(request("s2"))
            Issue.record("a dead session was taken")
        } catch {
            let problem = (error as? any ProblemConvertible)?.problem
            #expect(problem?.status == 401 && problem?.code == .sessionEnded)
            #expect(problem?.headers.first?.name == "WWW-Authenticate")
        }
        await #expect(throws: Problem.self) { try await sessions.require(Fixtures.request()) }
        await process.tearDown()
    }

    @Test("a revocation ends a known session and is told to observers")
    func revoked() async throws {
        auth.add("s1")
        let sessions = process.makeSessionVerifier()
        let heard = Mutex<[String]>([])
        sessions.observe(onRevoked: { revocation in heard.withLock { $0.append(revocation.sessionHash) } }, onReset: {})
        #expect(await eventually { sessions.isFeedFresh })
        _ = try await sessions.require(request("s1"))
        auth.revoke("s1")
        #expect(await eventually { heard.withLock { $0 } == [SessionVerifier.hash(ofSessionID: "s1")] })
        let session = try await sessions.verify(sessionID: "s1")
        #expect(session == nil)
        #expect(auth.verifications == 2)
        await process.tearDown()
    }

    @Test("many requests for one session ask once; a revocation that overtakes the answer wins")
    func overtaken() async throws {
        auth.add("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.state.withLock { $0.gate = gate }
        let sessions = process.makeSessionVerifier()
        let heard = Atomic<Int>(0)
        sessions.observe(onRevoked: { _ in heard.add(1, ordering: .relaxed) }, onReset: {})
        #expect(await eventually { sessions.isFeedFresh })
        try await withThrowingTaskGroup(of: Session?.self) { group in
            for _ in 0..<20 { group.addTask { try await sessions.verify(sessionID: "s1") } }
            #expect(await eventually { auth.verifications == 1 })
            auth.revoke("s1")
            #expect(await eventually { heard.load(ordering: .relaxed) == 1 })
            open.finish()
            for try await session in group { #expect(session == nil) }
        }
        await process.tearDown()
    }

    @Test("a changed account's sessions are asked for again, and observers are told")
    func userChanged() async throws {
        auth.add("s1")
        let sessions = process.makeSessionVerifier()
        let heard = Mutex<[String]>([])
        sessions.observe(onUserChanged: { user in heard.withLock { $0.append(user) } }, onReset: {})
        #expect(await eventually { sessions.isFeedFresh })
        _ = try await sessions.require(request("s1"))
        auth.change(user: "u2")
        #expect(await eventually { heard.withLock { $0 } == ["u2"] })
        _ = try await sessions.require(request("s1"))
        #expect(auth.verifications == 1)
        auth.change(user: "u1")
        #expect(await eventually { heard.withLock { $0 } == ["u2", "u1"] })
        _ = try await sessions.require(request("s1"))
        #expect(auth.verifications == 2)
        await process.tearDown()
    }

    @Test("a session verified in the last 30 s is served while auth does not answer, once it was asked")
    func verifiedLately() async throws {
        auth.add("s1")
        let now = Atomic<Int64>(0)
        let sessions = SessionVerifier(
            auth: process.makeClient("auth", SettingsCatalogue.authURL),
            log: Log(service: "test", level: .error, descriptor: -1),
            metrics: process.metrics,
            now: { now.load(ordering: .relaxed) }
        )
        _ = try await sessions.require(request("s1"))
        auth.state.withLock { $0.isAway = true }
        now.store(30_000, ordering: .relaxed)
        #expect(try await sessions.require(request("s1")).userID == "u1")
        #expect(auth.verifications >= 2)
        await #expect(throws: InternalCallError.self) { try await sessions.require(request("s2")) }
        now.store(30_001, ordering: .relaxed)
        await #expect(throws: InternalCallError.self) { try await sessions.require(request("s1")) }
        await process.tearDown()
    }

    @Test("without the feed every request asks auth")
    func noFeed() async throws {
        auth.add("s1")
        let sessions = SessionVerifier(
            auth: process.makeClient("auth", SettingsCatalogue.authURL),
            log: process.log,
            metrics: process.metrics
        )
        for count in 1...3 {
            _ = try await sessions.require(request("s1"))
            #expect(auth.verifications == count)
        }
        #expect(!sessions.isFeedFresh)
    }

    @Test("a new epoch makes everything known be asked for again, and observers verify theirs")
    func reset() async throws {
        auth.add("s1")
        let sessions = process.makeSessionVerifier()
        let resets = Atomic<Int>(0)
        sessions.observe(onRevoked: { _ in }, onReset: { resets.add(1, ordering: .relaxed) })
        #expect(await eventually { sessions.isFeedFresh })
        _ = try await sessions.require(request("s1"))
        let before = resets.load(ordering: .relaxed)
        auth.state.withLock { $0.epoch = "e2" }
        // Any revocation wakes the poll, which then finds its epoch unknown at the next question.
        auth.revoke("other")
        #expect(await eventually { resets.load(ordering: .relaxed) > before })
        _ = try await sessions.require(request("s1"))
        #expect(auth.verifications == 2)
        await process.tearDown()
    }

    @Test("without auth it is 503, and the health check fails")
    func authAway() async throws {
        let settings = try Settings.development(["auth.url": "http://127.0.0.1:1"])
        let alone = try ServiceProcess(
            "test",
            settings: settings,
            log: Log(service: "test", level: .error, descriptor: -1)
        )
        let sessions = alone.makeSessionVerifier()
        do {
            _ = try await sessions.require(request("s1"))
            Issue.record("answered without auth")
        } catch {
            #expect((error as? any ProblemConvertible)?.problem.status == 503)
        }
        var router = Router()
        router.mount(HealthRoutes(metrics: alone.metrics, checks: [sessions.healthCheck]))
        #expect(await router.respond(to: Fixtures.request(.get, "/readyz")).status == 503)
        await alone.tearDown()
    }
}

@Suite("Internal client, against a server", .timeLimit(.minutes(5)))
struct InternalClientTests {
    struct Echo: Codable, Sendable, Equatable { var text: String }

    /// A service that fails as often as it is told, and what it saw.
    private final class Peer: Sendable {
        let calls = Mutex<[Headers]>([])
        let failures: Mutex<[Problem]>
        let process: ServiceProcess

        /// Calls are not answered.
        let isSilent = Atomic(false)

        init(failures: [Problem] = [], log: Log = Log(service: "peer", level: .error, descriptor: -1)) throws {
            self.failures = Mutex(failures)
            let settings = try Settings.development(["presence.listen": "127.0.0.1:0"])
            process = try ServiceProcess("peer", settings: settings, log: log)
        }

        func client() throws -> InternalClient {
            var router = Router()
            router.add(.post, "/internal/echo") { [self] request in
                calls.withLock { $0.append(request.headers) }
                if isSilent.load(ordering: .relaxed) { await untilCancelled() }
                let failure = failures.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                if let failure { throw failure }
                return try Response.json(try await request.json(Echo.self))
            }
            router.add(.get, "/internal/nothing") { _ in Response(.noContent) }
            let server = try process.listen(at: SettingsCatalogue.presenceListen, router)
            let url = BaseURL(HostPort(host: server.address.host, port: Int(server.address.port)))
            return process.makeClient("peer", url)
        }
    }

    /// Patient, since a busy machine is no failure here.
    private static var patient: InternalCallOptions {
        var options = InternalCallOptions.standard
        options.timeout = .seconds(20)
        return options
    }

    @Test("token, request id and JSON go along")
    func call() async throws {
        let peer = try Peer()
        let client = try peer.client()
        let answer = try await client.call(
            .post,
            "/internal/echo",
            Echo(text: "é"),
            as: Echo.self,
            requestID: "r-7",
            options: Self.patient
        )
        #expect(answer == Echo(text: "é"))
        let headers = try #require(peer.calls.withLock { $0.first })
        #expect(headers["X-Request-Id"] == "r-7")
        _ = try await client.call(.get, "/internal/nothing", as: InternalClient.NoAnswer.self)
    }

    @Test("an answer that may pass is asked for again, not more often than allowed")
    func repeats() async throws {
        let down = Problem.unavailable("later")
        let peer = try Peer(failures: [down, down])
        let client = try peer.client()
        _ = try await client.call(.post, "/internal/echo", Echo(text: "a"), as: Echo.self, options: Self.patient)
        #expect(peer.calls.withLock { $0.count } == 3)
        let failing = try Peer(failures: [down, down, down])
        let other = try failing.client()
        do {
            _ = try await other.call(.post, "/internal/echo", Echo(text: "a"), as: Echo.self, options: Self.patient)
            Issue.record("taken")
        } catch {
            #expect(error.refusedStatus == 503)
            #expect(error.problem.status == 503)
        }
        #expect(failing.calls.withLock { $0.count } == 3)
    }

    @Test("a service that stops answering is logged once, and once when it is back")
    func transitions() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("log")
        let descriptor = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let peer = try Peer(log: Log(service: "peer", level: .info, descriptor: descriptor))
        let client = try peer.client()
        var impatient = InternalCallOptions.standard
        impatient.timeout = .milliseconds(50)
        impatient.usesCircuit = false
        let echo = Echo(text: "a")
        for _ in 0..<2 {
            peer.isSilent.store(true, ordering: .relaxed)
            for _ in 0..<3 {
                await #expect(throws: InternalCallError.self) {
                    try await client.call(.post, "/internal/echo", echo, as: Echo.self, options: impatient)
                }
            }
            peer.isSilent.store(false, ordering: .relaxed)
            for _ in 0..<2 {
                _ = try await client.call(
                    .post,
                    "/internal/echo",
                    Echo(text: "a"),
                    as: Echo.self,
                    options: Self.patient
                )
            }
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        let calls = lines.compactMap { $0.firstMatch(of: /"level":"(\w+)".*"event":"(internal_call_\w+)"/) }
        #expect(
            calls.map { "\($0.1) \($0.2)" } == [
                "warning internal_call_failed", "info internal_call_recovered",
                "warning internal_call_failed", "info internal_call_recovered",
            ]
        )
    }

    @Test("a refusal is not repeated, and comes with its code")
    func refusal() async throws {
        let peer = try Peer(failures: [Problem(409, .conflict, "announce again")])
        let client = try peer.client()
        let expected = InternalCallError.refused(
            service: "peer",
            .init(status: 409, code: "conflict", detail: "announce again")
        )
        await #expect(throws: expected) {
            try await client.call(.post, "/internal/echo", Echo(text: "a"), as: Echo.self, options: Self.patient)
        }
        #expect(peer.calls.withLock { $0.count } == 1)
    }

    @Test("an answer of another shape is our own mistake")
    func unreadable() async throws {
        let peer = try Peer()
        let client = try peer.client()
        do {
            _ = try await client.call(.post, "/internal/echo", Echo(text: "a"), as: [Int].self, options: Self.patient)
            Issue.record("taken")
        } catch {
            #expect(error == .unreadable(service: "peer", reason: "body: must be a list"))
            #expect(error.problem.status == 500)
        }
    }

    @Test("a service that is away opens the circuit: calls fail at once, naming it, until it is back")
    func circuit() async throws {
        let settings = try Settings.development(["presence.url": "http://127.0.0.1:1"])
        let process = try ServiceProcess(
            "test",
            settings: settings,
            log: Log(service: "test", level: .error, descriptor: -1)
        )
        let client = process.makeClient("presence", SettingsCatalogue.presenceURL)
        // Calls one after the other: the pause of the circuit may be over before this test gets its turn again.
        let expected = InternalCallError.unavailable(service: "presence", reason: "not answering lately")
        let isRefused = await eventually {
            do throws(InternalCallError) {
                _ = try await client.call(.get, "/internal/x", as: InternalClient.NoAnswer.self, options: Self.patient)
                return false
            } catch {
                return error == expected
            }
        }
        #expect(isRefused)
        #expect(expected.problem.detail == "presence does not answer")
    }
}
