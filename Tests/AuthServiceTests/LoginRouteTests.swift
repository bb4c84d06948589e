import Core
import Crypto
import HTTP
import TestSupport
import Testing

@testable import AuthService

@Suite("POST /auth/login")
struct LoginRouteTests {
    private let login = #"{"username":"user123","password":"password123","user_type":"Kehu"}"#

    @Test("answers the guide's sample with a session, on both paths", arguments: ["/auth/login", "/api/auth/login"])
    func guideSample(path: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, path, json: login)
        #expect(answer.status == 200)
        #expect(answer.names == ["session_id", "user_id", "user_name", "user_type", "expires_at"])
        #expect(answer.string("user_id") == "user123")
        #expect(answer.string("user_name") == "张三")
        #expect(answer.string("user_type") == "Kehu")
        #expect(answer.string("session_id")?.utf8.count == 43)
        #expect(answer.string("expires_at") == auth.clock.now.advanced(byMilliseconds: 7 * 86_400_000).wire)
        #expect(answer.headers["Cache-Control"] == "no-store")
        let id = try #require(answer.string("session_id"))
        #expect(
            answer.headers["Set-Cookie"]
                == "session_id=\(id); Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax"
        )
        #expect(try await auth.sessions.verify(id)?.session.userID == "user123")
    }

    @Test("the cookie is Secure when the edge was reached by https")
    func secureCookie() async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, "/auth/login", json: login, isSecure: true)
        #expect(answer.headers["Set-Cookie"]?.hasSuffix("; Secure") == true)
    }

    @Test(
        "user_type may be left out, in any case, or a synonym",
        arguments: [
            "", #","user_type":null"#, #","user_type":"KEFU""#, #","user_type":"support""#, #","user_type":"Agent""#,
        ]
    )
    func userTypes(member: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(
            .post,
            "/auth/login",
            json: #"{"username":"support001","password":"password123"\#(member)}"#
        )
        #expect(answer.status == 200)
        #expect(answer.string("user_type") == "Kefu")
    }

    @Test(
        "wrong password, unknown user, impossible name and other user type get the same answer",
        arguments: [
            #"{"username":"user123","password":"wrong","user_type":"Kehu"}"#,
            #"{"username":"nobody","password":"password123"}"#,
            #"{"username":"张三","password":"password123"}"#,
            #"{"username":"me","password":"password123"}"#,
            #"{"username":"USER123","password":"password123"}"#,
            #"{"username":"user123","password":"password123","user_type":"Kefu"}"#,
            #"{"username":"user123","password":"password123 "}"#,
        ]
    )
    func invalidCredentials(body: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, "/auth/login", json: body)
        let expected = await auth.send(.post, "/auth/login", json: #"{"username":"x","password":"y"}"#)
        #expect(answer.status == 401)
        #expect(answer.code == "invalid_credentials")
        #expect(answer.text == expected.text)
        #expect(answer.headers["Content-Type"] == "application/problem+json")
        #expect(answer.headers["WWW-Authenticate"] == "Bearer")
        #expect(answer.headers["Set-Cookie"] == nil)
    }

    @Test(
        "a bad body is refused, naming what is wrong",
        arguments: [
            ("{", 400, "malformed_json", "body"),
            ("", 400, "malformed_json", "body"),
            ("[]", 422, "invalid_field", "body"),
            (#"{"password":"x"}"#, 422, "invalid_field", "username"),
            (#"{"username":"a"}"#, 422, "invalid_field", "password"),
            (#"{"username":1,"password":"x"}"#, 422, "invalid_field", "username"),
            (#"{"username":null,"password":"x"}"#, 422, "invalid_field", "username"),
            (#"{"username":"","password":"x"}"#, 422, "invalid_field", "username"),
            (#"{"username":"a","password":""}"#, 422, "invalid_field", "password"),
            (#"{"username":"a","password":"x\u0000y"}"#, 422, "invalid_field", "password"),
            (#"{"username":"a","password":"x","user_type":"Admin"}"#, 422, "invalid_field", "user_type"),
            (#"{"username":"a","password":"x","user_type":7}"#, 422, "invalid_field", "user_type"),
        ]
    )
    func badBody(body: String, status: Int, code: String, names: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, "/auth/login", json: body)
        #expect(answer.status == status)
        #expect(answer.code == code)
        #expect(answer.string("detail")?.contains(names) == true, "\(answer.text)")
    }

    @Test("names and passwords are taken up to their limits, not past them")
    func lengths() async throws {
        let auth = try await AuthFixture()
        func send(_ name: Int, _ password: Int) async -> Answer {
            let name = String(repeating: "a", count: name)
            let password = String(repeating: "p", count: password)
            return await auth.send(.post, "/auth/login", json: #"{"username":"\#(name)","password":"\#(password)"}"#)
        }
        #expect(await send(64, 1).status == 401)
        #expect(await send(65, 1).status == 422)
        #expect(await send(1, 511).status == 401)
        #expect(await send(1, 512).status == 422)
        #expect(await send(1, 17_000).status == 413)
    }

    @Test("another content type is 415, another method 405 with Allow")
    func typeAndMethod() async throws {
        let auth = try await AuthFixture()
        let form = await auth.send(
            .post,
            "/auth/login",
            json: "username=user123",
            headers: ["Content-Type": "application/x-www-form-urlencoded"]
        )
        #expect(form.status == 415)
        let get = await auth.send(.get, "/auth/login")
        #expect(get.status == 405)
        #expect(get.headers["Allow"]?.contains("POST") == true)
        #expect(await auth.send(.post, "/auth/nothing", json: "{}").status == 404)
    }

    @Test("attempts past the limit are 429 with Retry-After, the right password included, until the wait is over")
    func attemptLimit() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 3
        let auth = try await AuthFixture(loginLimits: limits)
        for _ in 0..<3 {
            #expect(
                await auth.send(.post, "/auth/login", json: #"{"username":"user123","password":"x"}"#).status == 401
            )
        }
        let refused = await auth.send(.post, "/auth/login", json: login)
        #expect(refused.status == 429)
        #expect(refused.code == "too_many_attempts")
        #expect(refused.headers["Retry-After"] == "1")
        // Elsewhere, and for another account, nothing is refused.
        #expect(await auth.send(.post, "/auth/login", json: login, address: "192.0.2.2").status == 200)
        #expect(await auth.send(.post, "/auth/login", json: #"{"username":"test","password":"test"}"#).status == 200)
        auth.clock.advance(1000)
        #expect(await auth.send(.post, "/auth/login", json: login).status == 200)
        // The success has cleared the count.
        for _ in 0..<3 {
            #expect(
                await auth.send(.post, "/auth/login", json: #"{"username":"user123","password":"x"}"#).status == 401
            )
        }
    }

    @Test("a password may be typed with composed or decomposed characters")
    func normalizedPassword() async throws {
        let auth = try await AuthFixture()
        try await auth.accounts.resetPassword("test", to: "cafe\u{301} au lait", by: .command)
        for password in ["cafe\u{301} au lait", "caf\u{E9} au lait"] {
            let body = #"{"username":"test","password":"\#(password)"}"#
            #expect(await auth.send(.post, "/auth/login", json: body).status == 200)
        }
        #expect(
            await auth.send(.post, "/auth/login", json: #"{"username":"test","password":"cafe au lait"}"#).status == 401
        )
    }

    @Test("one address has no more logins hashing at once than it may, and leaves the rest of the pool to others")
    func shareOfPool() async throws {
        var limits = LoginLimiter.Limits()
        limits.attemptsAtOnceMax = 1
        let auth = try await AuthFixture(loginLimits: limits)
        let slow = try await PasswordHasher(cost: 9).hash("slow")
        let holding = Task { try await auth.hasher.verify("x", stored: slow) }
        #expect(await eventually { auth.hasher.requestCount == 1 })
        let first = Task { await auth.send(.post, "/auth/login", json: login) }
        #expect(await eventually { auth.hasher.requestCount == 2 })
        let second = await auth.send(.post, "/auth/login", json: login)
        #expect(second.status == 503)
        #expect(second.headers["Retry-After"] != nil)
        #expect(await auth.send(.post, "/auth/login", json: login, address: "192.0.2.2").status == 200)
        #expect(await first.value.status == 200)
        #expect(await auth.send(.post, "/auth/login", json: login).status == 200)
        _ = try await holding.value
    }

    @Test("a busy password pool is 503, and does not count as a failure")
    func busyPool() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 1
        let auth = try await AuthFixture(loginLimits: limits, hasher: PasswordHasher(requestsMax: 1, cost: 1))
        let slow = try await PasswordHasher(cost: 9).hash("slow")
        let holding = Task { try await auth.hasher.verify("x", stored: slow) }
        #expect(await eventually { auth.hasher.requestCount == 1 })
        let busy = await auth.send(.post, "/auth/login", json: login)
        #expect(busy.status == 503)
        #expect(busy.headers["Retry-After"] != nil)
        _ = try await holding.value
        #expect(await auth.send(.post, "/auth/login", json: login).status == 200)
    }

    @Test("a login that a disabling overtakes fails as any other does, and is nobody's")
    func overtaken() async throws {
        let auth = try await AuthFixture(hasher: PasswordHasher(threads: 1, cost: 1))
        let slow = try await PasswordHasher(cost: 9).hash("slow")
        let holding = Task { try await auth.hasher.verify("x", stored: slow) }
        #expect(await eventually { auth.hasher.requestCount == 1 })
        let late = Task { await auth.send(.post, "/auth/login", json: login) }
        // By then it has read the account.
        #expect(await eventually { auth.hasher.requestCount == 2 })
        _ = try await auth.accounts.update("user123", AccountChange(isDisabled: true), by: .command)
        let answer = await late.value
        #expect(answer.status == 401 && answer.code == "invalid_credentials")
        _ = try await holding.value
        let failures = try await auth.store.auditEntries(AuditFilter(event: .loginFailed), before: nil, limit: 10)
        #expect(failures.map(\.entry.userID) == ["user123"] && failures.map(\.entry.actor.userID) == [nil])
        #expect(try await auth.store.sessions(of: "user123", now: auth.clock.now).isEmpty)
    }

    @Test("a hash of another cost is made again at login, and still opens")
    func rehash() async throws {
        let auth = try await AuthFixture()
        let weak = try #require(try await auth.store.account("user123")?.passwordHash)
        let stronger = try PasswordHasher(cost: 2)
        let limiter = LoginLimiter(LoginLimiter.Limits(), clock: { 0 }, log: AuthFixture.log)
        let passwords = PasswordLogin(auth.sessions, hasher: stronger, limiter: limiter)
        let credentials = PasswordLogin.Credentials(
            username: "user123",
            password: "password123",
            userType: .customer,
            origin: SessionOrigin(remoteAddress: "192.0.2.1"),
            requestID: "-"
        )
        _ = try await passwords.logIn(credentials)
        let made = try #require(try await auth.store.account("user123")?.passwordHash)
        #expect(made != weak)
        #expect(!stronger.needsRehash(stored: made))
        _ = try await passwords.logIn(credentials)
    }
}
