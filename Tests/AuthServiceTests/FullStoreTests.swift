import Core
import HTTP
import TestSupport
import Testing

@testable import AuthService

@Suite("Accounts and sessions in a Redis without room")
struct FullStoreTests {
    @Test("nobody gets in any more, and everybody can be put out")
    func full() async throws {
        let redis = try await RedisHistory()
        let auth = try await AuthFixture(history: redis.log)
        let admin: Headers = ["X-Session-Id": try await auth.logIn("support001").id]
        let own = try await auth.logIn()
        let other = try await auth.logIn()
        _ = try await auth.logIn("test", "test")
        try await redis.server.leaveRoom(0)

        let login = #"{"username":"user123","password":"password123"}"#
        let user = #"{"user_id":"zoe","user_type":"Kehu","password":"correct horse"}"#
        let named = #"{"user_name":"Another name"}"#
        for answer in [
            await auth.send(.post, "/auth/login", json: login),
            await auth.send(.post, "/auth/guest", json: "{}"),
            await auth.send(.post, "/auth/session/refresh", headers: ["X-Session-Id": own.id]),
            await auth.send(.post, "/api/users", json: user, headers: admin),
            await auth.send(.patch, "/api/users/user123", json: named, headers: admin),
        ] {
            #expect(answer.status == 507 && answer.code == "storage_full", "\(answer.text)")
        }
        #expect(try await auth.sessions.verify(own.id) != nil)

        let disabled = #"{"disabled":true}"#
        let password = #"{"new_password":"correct horse battery"}"#
        for answer in [
            await auth.send(.post, "/auth/logout", headers: ["X-Session-Id": own.id]),
            await auth.send(.patch, "/api/users/user123", json: disabled, headers: admin),
            await auth.send(.put, "/api/users/test_user/password", json: password, headers: admin),
            await auth.send(.delete, "/api/users/test/sessions", headers: admin),
            await auth.send(.delete, "/api/users/test", headers: admin),
        ] {
            #expect((200..<300).contains(answer.status), "\(answer.text)")
        }
        for id in [own.id, other.id] { #expect(try await auth.sessions.verify(id) == nil) }
        // Sockets and the other services hear of each.
        #expect(auth.sessions.feed.newest >= 4)

        let enabled = #"{"disabled":false}"#
        #expect(await auth.send(.patch, "/api/users/user123", json: enabled, headers: admin).status == 507)
        try await redis.server.leaveRoom(nil)
        #expect(await auth.send(.patch, "/api/users/user123", json: enabled, headers: admin).status == 200)
        #expect(await auth.send(.post, "/auth/login", json: login).status == 200)
        #expect(await auth.send(.get, "/api/users/test", headers: admin).status == 404)
        await auth.store.close()
        await redis.end()
    }
}
