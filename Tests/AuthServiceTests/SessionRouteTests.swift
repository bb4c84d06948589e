import Core
import HTTP
import Testing

@testable import AuthService

@Suite("/auth/logout, /auth/session and its refresh")
struct SessionRouteTests {
    @Test("GET session tells who it is, by header, bearer or cookie, on both paths")
    func introspection() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn("support001").id
        let ways: [Headers] = [
            ["X-Session-Id": id], ["Authorization": "Bearer \(id)"], ["Cookie": "a=b; session_id=\(id)"],
        ]
        for headers in ways {
            for path in ["/auth/session", "/api/auth/session"] {
                let answer = await auth.send(.get, path, headers: headers)
                #expect(answer.status == 200)
                #expect(answer.names == ["user_id", "user_name", "user_type", "is_admin", "expires_at"])
                #expect(answer.string("user_id") == "support001")
                #expect(answer.number("is_admin") == 1)
                #expect(!answer.text.contains(id))
            }
        }
    }

    @Test("without a session it is 401 unauthenticated, with a dead one session_ended")
    func unauthenticated() async throws {
        let auth = try await AuthFixture()
        let none = await auth.send(.get, "/auth/session")
        #expect(none.status == 401 && none.code == "unauthenticated")
        #expect(none.headers["WWW-Authenticate"] == "Bearer")
        for id in ["test", SessionID.make(), String(repeating: "x", count: 43)] {
            let dead = await auth.send(.get, "/auth/session", headers: ["X-Session-Id": id])
            #expect(dead.status == 401 && dead.code == "session_ended")
        }
    }

    @Test("logout by body, header or bearer ends the session at once, and is idempotent", arguments: 0..<4)
    func logout(way: Int) async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        let other = try await auth.logIn().id
        _ = try await auth.sessions.verify(id)
        let path = way == 3 ? "/api/auth/logout" : "/auth/logout"
        for _ in 0..<2 {
            let answer =
                switch way {
                case 1: await auth.send(.post, path, headers: ["X-Session-Id": id])
                case 2: await auth.send(.post, path, headers: ["Authorization": "Bearer \(id)"])
                default: await auth.send(.post, path, json: #"{"session_id":"\#(id)"}"#)
                }
            #expect(answer.status == 200)
            #expect(answer.text == #"{"success":true}"#)
            #expect(answer.headers["Set-Cookie"] == "session_id=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax")
        }
        #expect(try await auth.sessions.verify(id) == nil)
        #expect(try await auth.sessions.verify(other) != nil)
        #expect(auth.sessions.feed.newest == 1)
    }

    @Test(
        "logout of what was never a session is a success too",
        arguments: ["test", "", "a b", String(repeating: "x", count: 5000)]
    )
    func logoutOfNothing(id: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, "/auth/logout", json: #"{"session_id":"\#(id)"}"#)
        #expect(answer.status == 200)
        #expect(auth.sessions.feed.newest == 0)
    }

    @Test("logout without naming a session is 422; the cookie alone does not end it")
    func logoutWithoutSession() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        #expect(await auth.send(.post, "/auth/logout").status == 422)
        #expect(await auth.send(.post, "/auth/logout", json: "{}").status == 422)
        #expect(await auth.send(.post, "/auth/logout", headers: ["Cookie": "session_id=\(id)"]).status == 422)
        #expect(await auth.send(.post, "/auth/logout", json: #"{"session_id":5}"#).code == "invalid_field")
        #expect(await auth.send(.post, "/auth/logout", json: "nonsense").code == "malformed_json")
        #expect(try await auth.sessions.verify(id) != nil)
    }

    @Test("a refresh gives a new id; the old one works ten seconds more and refreshes to the same")
    func refresh() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        let first = await auth.send(.post, "/auth/session/refresh", headers: ["X-Session-Id": old])
        #expect(first.status == 200)
        let new = try #require(first.string("session_id"))
        #expect(new != old)
        #expect(first.string("user_id") == "user123")
        #expect(first.headers["Set-Cookie"]?.contains(new) == true)
        auth.clock.advance(9_999)
        #expect(await auth.send(.get, "/auth/session", headers: ["X-Session-Id": old]).status == 200)
        let second = await auth.send(.post, "/api/auth/session/refresh", headers: ["Authorization": "Bearer \(old)"])
        #expect(second.string("session_id") == new)
        auth.clock.advance(1)
        #expect(await auth.send(.get, "/auth/session", headers: ["X-Session-Id": old]).code == "session_ended")
        #expect(await auth.send(.post, "/auth/session/refresh", headers: ["X-Session-Id": old]).status == 401)
        #expect(await auth.send(.get, "/auth/session", headers: ["X-Session-Id": new]).status == 200)
    }

    @Test("a refresh needs an explicit, living session")
    func refreshRefused() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn().id
        #expect(await auth.send(.post, "/auth/session/refresh").code == "unauthenticated")
        #expect(await auth.send(.post, "/auth/session/refresh", headers: ["Cookie": "session_id=\(id)"]).status == 401)
        #expect(
            await auth.send(.post, "/auth/session/refresh", headers: ["X-Session-Id": "test"]).code == "session_ended"
        )
        #expect(await auth.send(.get, "/auth/session/refresh").status == 405)
    }
}
