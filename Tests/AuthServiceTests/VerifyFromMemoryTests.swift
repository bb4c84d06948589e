import Contracts
import Core
import Crypto
import HTTP
import ServiceKit
import TestSupport
import Testing

@testable import AuthService

@Suite("Session checks answered from memory")
struct VerifyFromMemoryTests {
    private static let route = "/internal/sessions/verify"

    private static func request(
        _ body: String,
        _ headers: Headers = ["Content-Type": "application/json"],
        method: HTTP.Method = .post
    ) -> Request {
        Request(
            head: RequestHead(method: method, target: route, headers: headers),
            body: RequestBody(Array(body.utf8))
        )
    }

    /// The answer, and whether it needed no task.
    private static func ask(_ auth: AuthFixture, _ request: Request) async throws -> (Answer, isNow: Bool) {
        let reply = auth.router.reply(to: request)
        var isNow = false
        if case .now = reply { isNow = true }
        return (Answer(try await reply.response()), isNow)
    }

    @Test("the first check reads the store, later ones need no task, and both say the same")
    func cached() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn("support001").id
        let body = #"{"session_id":"\#(id)"}"#
        let (first, firstIsNow) = try await Self.ask(auth, Self.request(body))
        let (second, secondIsNow) = try await Self.ask(auth, Self.request(body))
        #expect(!firstIsNow && secondIsNow)
        #expect(first.text == second.text && first.number("active") == 1)
        #expect(second.headers["Content-Type"] == "application/json")
        // What is not in our client's form, or not allowed, goes the general way to the same outcome.
        for text in [" " + body, #"{"session_id": "\#(id)"}"#, #"{"x":1,"session_id":"\#(id)"}"#] {
            let (answer, isNow) = try await Self.ask(auth, Self.request(text))
            #expect(!isNow && answer.text == first.text)
        }
        let escaped = #"{"session_id":"\u00\#(Hex.encode([Array(id.utf8)[0]]))\#(id.dropFirst())"}"#
        #expect(try await Self.ask(auth, Self.request(escaped)).0.text == first.text)
        for (text, headers, status) in [
            (body, Headers(), 415), (body, ["Content-Type": "text/plain"], 415),
            (body + " x", ["Content-Type": "application/json"], 400),
            (#"{"session_id":"\#(id)""#, ["Content-Type": "application/json"], 400),
            ("{}", ["Content-Type": "application/json"], 422),
        ] {
            let (answer, isNow) = try await Self.ask(auth, Self.request(text, headers))
            #expect(!isNow && answer.status == status)
        }
        #expect(try await Self.ask(auth, Self.request(body, method: .get)).0.status == 405)
    }

    @Test("an end is in force at once, and so is an expiry")
    func ends() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        let other = try await auth.logIn().id
        for one in [id, other] {
            for isNow in [false, true] {
                #expect(try await Self.ask(auth, Self.request(#"{"session_id":"\#(one)"}"#)).isNow == isNow)
            }
        }
        try await auth.sessions.logOut(id, by: Actor())
        let (ended, isNow) = try await Self.ask(auth, Self.request(#"{"session_id":"\#(id)"}"#))
        #expect(!isNow && ended.text == #"{"active":false}"#)
        auth.clock.advance(auth.sessions.limits.users.idleMilliseconds)
        let expired = try await Self.ask(auth, Self.request(#"{"session_id":"\#(other)"}"#)).0
        #expect(expired.text == #"{"active":false}"#)
    }

    @Test("a check from memory counts as a use, and memory is believed for its age only")
    func use() async throws {
        let auth = try await AuthFixture()
        let issued = try await auth.logIn()
        let request = Self.request(#"{"session_id":"\#(issued.id)"}"#)
        auth.clock.advance(auth.sessions.limits.users.touchMilliseconds - 1000)
        _ = try await Self.ask(auth, request)
        auth.clock.advance(1000)
        let (used, isNow) = try await Self.ask(auth, request)
        #expect(isNow)
        let expiresAt = auth.clock.now.advanced(byMilliseconds: auth.sessions.limits.users.idleMilliseconds)
        #expect(used.string("expires_at") == expiresAt.wire)
        auth.clock.advance(auth.sessions.limits.cacheAgeMilliseconds)
        #expect(try await !Self.ask(auth, request).isNow)
    }

    @Test("behind the whole chain the token is asked for, and the request is counted")
    func chain() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        _ = try await auth.sessions.verify(id)
        let metrics = Metrics(includesProcess: false)
        let router = auth.router
        let guarded = InternalGuard(token: "0123456789abcdef").wrap { router.reply(to: $0) }
        let responder = RequestLog(log: AuthFixture.log, metrics: metrics).wrap(guarded)
        for (token, status) in [("0123456789abcdef", 200), ("0123456789abcdeF", 403), ("", 403)] {
            let headers: Headers = ["Content-Type": "application/json", "X-Internal-Token": token]
            let reply = responder(Self.request(#"{"session_id":"\#(id)"}"#, headers))
            guard case .now(let outcome) = reply else {
                Issue.record("not at once")
                continue
            }
            #expect(try outcome.get().status.code == status)
        }
        #expect(metrics.text.contains(#"http_requests_total{method="POST",status="200"} 1"#))
        #expect(metrics.text.contains(#"http_requests_total{method="POST",status="403"} 2"#))
        #expect(metrics.text.contains("http_requests_in_flight 0"))
    }

    @Test("the request's plain form is what our encoder writes; the answer's text is what our decoder reads")
    func text() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let id = SessionID.make()
            let request = SessionVerificationRequest(sessionID: id)
            #expect(SessionVerificationRequest(plainText: try JSONBody.encode(request)) == request)
            func maybe<Value>(_ value: Value) -> Value? { Bool.random(using: &random) ? value : nil }
            let scalars = (0..<20).compactMap { _ in Unicode.Scalar(UInt32.random(in: 0..<0x300, using: &random)) }
            let answer = SessionVerification(
                active: Bool.random(using: &random),
                userID: maybe("user123"),
                userName: maybe(String(String.UnicodeScalarView(scalars))),
                userType: maybe(.agent),
                isAdmin: maybe(Bool.random(using: &random)),
                expiresAt: maybe(Timestamp(milliseconds: Int64.random(in: 0..<4_000_000_000_000, using: &random)))
            )
            let read = try JSONBody.decode(SessionVerification.self, from: Array(answer.jsonText.utf8))
            #expect(read == answer, "seed \(seed)")
        }
        for text in ["", "{}", #"{"session_id":""}"#, #"{"session_id":"a"b"}"#, #"{"session_id":"\\"}"#] {
            #expect(SessionVerificationRequest(plainText: Array(text.utf8)) == nil)
        }
    }
}
