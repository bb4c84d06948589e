import Contracts
import Core
import Foundation
import HTTP
import Testing

@testable import AuthService

@Suite("/api/users")
struct UserRouteTests {
    private let auth: AuthFixture

    init() async throws { auth = try await AuthFixture() }

    private func send(
        _ method: HTTP.Method,
        _ target: String,
        as session: IssuedSession?,
        json: String? = nil
    ) async -> Answer {
        await auth.send(method, target, json: json, headers: session.map { ["X-Session-Id": $0.id] } ?? [:])
    }

    private func admin() async throws -> IssuedSession { try await auth.logIn("support001") }

    @Test("an administrator makes an account, and its user logs in")
    func create() async throws {
        let body = """
            {"user_id":"zoe","user_name":"  Zoe\\u0308 ","user_type":"support","capacity":3,
            "password":"cafe\\u0301 au lait"}
            """
        let answer = try await send(.post, "/api/users", as: admin(), json: body)
        #expect(answer.status == 201)
        #expect(answer.headers["Location"] == "/api/users/zoe")
        #expect(
            answer.names == ["user_id", "user_name", "user_type", "is_admin", "disabled", "capacity", "created_at"]
        )
        #expect(answer.string("user_name") == "Zo\u{EB}")
        #expect(answer.string("user_type") == "Kefu" && answer.number("capacity") == 3)
        #expect(try await auth.logIn("zoe", "caf\u{E9} au lait").verified.userName == "Zo\u{EB}")
        let again = try await send(.post, "/api/users", as: admin(), json: body)
        #expect(again.status == 409 && again.code == "user_exists")
    }

    @Test("every bad member is named in one problem")
    func badMembers() async throws {
        let body = #"""
            {"user_id":"a/b","user_name":"\u202e","user_type":"Boss","is_admin":1,"capacity":0,"password":"short","x":1}
            """#
        let answer = try await send(.post, "/api/users", as: admin(), json: body)
        #expect(answer.status == 422 && answer.code == "invalid_field")
        #expect(
            answer.list("errors", "pointer")
                == ["#/user_id", "#/user_name", "#/user_type", "#/is_admin", "#/capacity", "#/password", "#/x"]
        )
        for name in ["user_id", "user_name", "user_type", "is_admin", "capacity", "password", "x"] {
            #expect(answer.string("detail")?.contains(name + ": ") == true)
        }
        let empty = try await send(.post, "/api/users", as: admin(), json: "{}")
        #expect(empty.list("errors", "pointer") == ["#/user_id", "#/user_type", "#/password"])
        let customer = #"{"user_id":"c","user_type":"Kehu","is_admin":true,"capacity":2,"password":"correct horse"}"#
        let both = try await send(.post, "/api/users", as: admin(), json: customer)
        #expect(both.list("errors", "pointer") == ["#/is_admin", "#/capacity"])
        #expect(try await auth.store.account("c") == nil)
    }

    @Test("lists by page, type, state and administrators, each account once")
    func list() async throws {
        let admin = try await admin()
        for index in 0..<5 {
            let type = index % 2 == 0 ? "Kehu" : "Kefu"
            let body =
                #"{"user_id":"u\#(index)","user_type":"\#(type)","disabled":\#(index == 3),"password":"correct horse"}"#
            #expect(await send(.post, "/api/users", as: admin, json: body).status == 201)
        }
        var found: [String] = []
        var target = "/api/users?limit=2"
        while true {
            let page = await send(.get, target, as: admin)
            found += page.list("users", "user_id")
            guard let cursor = page.string("next_cursor") else { break }
            target = "/api/users?limit=2&cursor=\(cursor)"
        }
        #expect(found == ["support001", "test", "test_user", "u0", "u1", "u2", "u3", "u4", "user123"])
        for (query, expected) in [
            ("user_type=Kefu", ["support001", "u1", "u3"]), ("disabled=true", ["u3"]),
            ("is_admin=true", ["support001"]),
            ("user_type=customer&disabled=false", ["test", "test_user", "u0", "u2", "u4", "user123"]),
            ("user_type=Kehu&is_admin=true", []),
        ] {
            #expect(await send(.get, "/api/users?\(query)", as: admin).list("users", "user_id") == expected, "\(query)")
        }
        let exact = await send(.get, "/api/users?limit=\(found.count)", as: admin)
        #expect(exact.list("users", "user_id") == found && exact.string("next_cursor") == nil)
        for query in ["limit=0", "limit=201", "disabled=maybe", "user_type=Boss", "cursor=a/b"] {
            #expect(await send(.get, "/api/users?\(query)", as: admin).status == 400, "\(query)")
        }
    }

    @Test("what only administrators may is refused to others, whether or not the account exists")
    func roles() async throws {
        let customer = try await auth.logIn()
        let requests: [(HTTP.Method, String, String?)] = [
            (.get, "/api/users", nil), (.post, "/api/users", "{}"), (.delete, "/api/users/me", nil),
            (.patch, "/api/users/me", #"{"is_admin":true}"#), (.patch, "/api/users/me", #"{"capacity":5}"#),
        ]
        for (method, target, json) in requests {
            #expect(await send(method, target, as: customer, json: json).status == 403, "\(method) \(target)")
            #expect(await send(method, target, as: nil, json: json).status == 401, "\(method) \(target)")
        }
        for user in ["test", "nobody"] {
            let answers = [
                await send(.get, "/api/users/\(user)", as: customer),
                await send(.patch, "/api/users/\(user)", as: customer, json: #"{"user_name":"x"}"#),
                await send(.put, "/api/users/\(user)/password", as: customer, json: "{}"),
                await send(.get, "/api/users/\(user)/sessions", as: customer),
                await send(.delete, "/api/users/\(user)/sessions", as: customer),
                await send(.delete, "/api/users/\(user)/sessions/AAAAAAAAAAAAAAAAAAAAAA", as: customer),
            ]
            for answer in answers { #expect(answer.status == 403 && answer.code == "forbidden") }
        }
        #expect(await send(.get, "/api/users/me", as: customer).string("user_id") == "user123")
        #expect(await send(.get, "/api/users/user123", as: customer).status == 200)
        let renamed = await send(.patch, "/api/users/me", as: customer, json: #"{"user_name":"李四"}"#)
        #expect(renamed.string("user_name") == "李四")
        #expect(await send(.get, "/auth/session", as: customer).string("user_name") == "李四")
    }

    @Test("a user's own changes are limited in a minute")
    func changeRate() async throws {
        let customer = try await auth.logIn()
        for index in 0..<60 {
            let answer = await send(.patch, "/api/users/me", as: customer, json: #"{"user_name":"n\#(index)"}"#)
            #expect(answer.status == 200)
        }
        let refused = await send(.patch, "/api/users/me", as: customer, json: #"{"user_name":"x"}"#)
        #expect(refused.status == 429 && refused.headers["Retry-After"] == "1")
        let password = #"{"old_password":"password123","new_password":"correct horse"}"#
        #expect(await send(.put, "/api/users/me/password", as: customer, json: password).status == 429)
        // Administrators' are not.
        let admin = try await admin()
        for _ in 0...60 {
            #expect(await send(.patch, "/api/users/user123", as: admin, json: "{}").status == 200)
        }
        auth.clock.advance(1000)
        #expect(await send(.patch, "/api/users/me", as: customer, json: #"{"user_name":"x"}"#).status == 200)
    }

    @Test(
        "what ends a user's sessions ends them all, and nobody else's",
        arguments: [
            ("PATCH", #"{"disabled":true}"#), ("PATCH", #"{"user_type":"Kefu"}"#), ("DELETE", ""),
            ("PUT", #"{"new_password":"correct horse"}"#), ("DELETE sessions", ""),
        ]
    )
    func ends(what: String, json: String) async throws {
        let admin = try await admin()
        let ended = [try await auth.logIn().id, try await auth.logIn().id]
        let other = try await auth.logIn("test", "test")
        // So that they are known in memory, too.
        for id in ended { #expect(try await auth.sessions.verify(id) != nil) }
        let answer =
            switch what {
            case "PATCH": await send(.patch, "/api/users/user123", as: admin, json: json)
            case "PUT": await send(.put, "/api/users/user123/password", as: admin, json: json)
            case "DELETE": await send(.delete, "/api/users/user123", as: admin)
            default: await send(.delete, "/api/users/user123/sessions", as: admin)
            }
        #expect((200...204).contains(answer.status))
        for id in ended { #expect(try await auth.sessions.verify(id) == nil) }
        #expect(try await auth.sessions.verify(other.id) != nil)
        #expect(try await auth.sessions.verify(admin.id) != nil)
    }

    @Test("a change that ends no session leaves them, and is told in the feed", arguments: ["user_name", "capacity"])
    func keeps(member: String) async throws {
        let admin = try await admin()
        let before = auth.sessions.feed.newest
        let value = member == "capacity" ? "9" : "\"New\""
        let body = #"{"\#(member)":\#(value)}"#
        #expect(await send(.patch, "/api/users/support001", as: admin, json: body).status == 200)
        #expect(try await auth.sessions.verify(admin.id) != nil)
        let epoch = try await auth.store.revocationState().epoch
        let page = await auth.sessions.feed.page(epoch: epoch, after: before, waitMilliseconds: 0)
        #expect(page.changedUsers == ["support001"] && page.revocations.isEmpty)
        // The same again changes nothing, and tells nothing.
        #expect(await send(.patch, "/api/users/support001", as: admin, json: body).status == 200)
        #expect(auth.sessions.feed.newest == before + 1)
    }

    @Test("null gives an agent the stack's default capacity back; a customer has none")
    func capacity() async throws {
        let admin = try await admin()
        let target = "/api/users/support001"
        #expect(await send(.patch, target, as: admin, json: #"{"capacity":9}"#).number("capacity") == 9)
        #expect(await send(.patch, target, as: admin, json: "{}").number("capacity") == 9)
        let cleared = await send(.patch, target, as: admin, json: #"{"capacity":null}"#)
        #expect(cleared.status == 200 && cleared.number("capacity") == nil)
        let refused = await send(.patch, "/api/users/user123", as: admin, json: #"{"capacity":2}"#)
        #expect(refused.status == 422 && refused.list("errors", "pointer") == ["#/capacity"])
        for body in [#"{"capacity":0}"#, #"{"capacity":1001}"#, #"{"capacity":"5"}"#, #"{"disabled":null}"#] {
            #expect(await send(.patch, target, as: admin, json: body).status == 422, "\(body)")
        }
    }

    @Test(
        "the last administrator stays one",
        arguments: [#"{"disabled":true}"#, #"{"is_admin":false}"#, #"{"user_type":"Kehu"}"#, "DELETE"]
    )
    func lastAdministrator(json: String) async throws {
        let admin = try await admin()
        func attempt() async -> Answer {
            json == "DELETE"
                ? await send(.delete, "/api/users/me", as: admin)
                : await send(.patch, "/api/users/me", as: admin, json: json)
        }
        let refused = await attempt()
        #expect(refused.status == 409 && refused.code == "last_administrator")
        #expect(try await auth.sessions.verify(admin.id)?.isAdmin == true)
        let body = #"{"user_id":"second","user_type":"Kefu","is_admin":true,"password":"correct horse"}"#
        #expect(await send(.post, "/api/users", as: admin, json: body).status == 201)
        #expect((200...204).contains(await attempt().status))
        #expect(try await auth.sessions.verify(admin.id) == nil)
    }

    @Test("a deleted id is never given out again, and nobody can log in to it")
    func delete() async throws {
        let admin = try await admin()
        #expect(await send(.delete, "/api/users/user123", as: admin).status == 204)
        #expect(await send(.delete, "/api/users/user123", as: admin).status == 404)
        #expect(await send(.get, "/api/users/user123", as: admin).status == 404)
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn() }
        let body = #"{"user_id":"user123","user_type":"Kehu","password":"correct horse"}"#
        #expect(await send(.post, "/api/users", as: admin, json: body).code == "user_exists")
        #expect(await send(.get, "/api/users", as: admin).list("users", "user_id").contains("user123") == false)
    }

    // MARK: - Password

    @Test("one's own password: the old one is asked for, the other sessions end, this one and its successors go on")
    func ownPassword() async throws {
        let mine = try await auth.logIn()
        let refreshed = try await auth.sessions.refresh(mine.id)
        let other = try await auth.logIn()
        #expect(try await auth.sessions.verify(other.id) != nil)
        let target = "/api/users/me/password"
        let missing = await send(.put, target, as: mine, json: #"{"new_password":"correct horse"}"#)
        #expect(missing.status == 422 && missing.list("errors", "pointer") == ["#/old_password"])
        let wrong = #"{"old_password":"wrong","new_password":"correct horse"}"#
        let refused = await send(.put, target, as: mine, json: wrong)
        #expect(refused.status == 403 && refused.code == "invalid_credentials")
        let weak = #"{"old_password":"password123","new_password":"user123!"}"#
        #expect(await send(.put, target, as: mine, json: weak).status == 204)
        #expect(try await auth.sessions.verify(other.id) == nil)
        let right = #"{"old_password":"user123!","new_password":"correct horse"}"#
        #expect(await send(.put, target, as: mine, json: right).status == 204)
        #expect(try await auth.sessions.verify(mine.id) != nil)
        #expect(try await auth.sessions.verify(refreshed.id) != nil)
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn() }
        _ = try await auth.logIn("user123", "correct horse")
    }

    @Test("an administrator is asked for the old one, too; right ones are no failures; it is the same however typed")
    func ownPasswordAgain() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 1
        let auth = try await AuthFixture(loginLimits: limits)
        let headers: Headers = ["X-Session-Id": try await auth.logIn("support001").id]
        func set(_ body: String) async -> Int {
            await auth.send(.put, "/api/users/me/password", json: body, headers: headers).status
        }
        #expect(await set(#"{"new_password":"correct horse"}"#) == 422)
        let passwords = ["password123", #"cafe\u0301 au lait"#, "caf\u{E9} au lait"]
        for (old, new) in [(passwords[0], passwords[1]), (passwords[2], passwords[1])] {
            #expect(await set(#"{"old_password":"\#(old)","new_password":"\#(new)"}"#) == 204)
        }
        #expect(await set(#"{"old_password":"\#(passwords[1])","new_password":"correct horse"}"#) == 204)
        for method in [HTTP.Method.get, .delete] {
            #expect(await auth.send(method, "/api/users/nobody/sessions", headers: headers).status == 404)
        }
    }

    @Test("wrong old passwords count as failed logins do")
    func oldPasswordGuessing() async throws {
        let mine = try await auth.logIn()
        let body = #"{"old_password":"wrong","new_password":"correct horse"}"#
        for _ in 0..<10 { #expect(await send(.put, "/api/users/me/password", as: mine, json: body).status == 403) }
        let limited = await send(.put, "/api/users/me/password", as: mine, json: body)
        #expect(limited.status == 429 && limited.headers["Retry-After"] == "1")
    }

    @Test(
        "a new password obeys the rules",
        arguments: ["short", "password123", "TEST_USER", "aaaaaaaaaaaa", "客服001客服001客服001"]
    )
    func newPasswordRules(password: String) async throws {
        let body = #"{"new_password":"\#(password)"}"#
        let answer = try await send(.put, "/api/users/test_user/password", as: admin(), json: body)
        #expect((answer.status == 422) == (password != "客服001客服001客服001"))
    }

    // MARK: - Sessions

    @Test("one's sessions are listed, the newest first, and ended one by one or but the current one")
    func sessions() async throws {
        var mine: [IssuedSession] = []
        for _ in 0..<3 {
            mine.append(try await auth.logIn())
            auth.clock.advance(1)
        }
        let other = try await auth.logIn("test", "test")
        let list = await send(.get, "/api/users/me/sessions", as: mine[0])
        let handles = list.list("sessions", "session")
        #expect(handles == mine.reversed().map { SessionHash(of: $0.id).handle })
        #expect(list.list("sessions", "remote_address") == ["192.0.2.1", "192.0.2.1", "192.0.2.1"])
        for id in mine.map(\.id) {
            #expect(!list.text.contains(id))
            #expect(try await auth.sessions.verify(id) != nil)
        }
        #expect(list.text.contains(#""current":true"#))
        #expect(await send(.delete, "/api/users/me/sessions/\(handles[0])", as: mine[0]).status == 204)
        #expect(await send(.delete, "/api/users/me/sessions/\(handles[0])", as: mine[0]).status == 404)
        #expect(try await auth.sessions.verify(mine[2].id) == nil)
        for handle in [SessionHash(of: other.id).handle, "x", mine[1].id] {
            #expect(await send(.delete, "/api/users/me/sessions/\(handle)", as: mine[0]).status == 404)
        }
        let ended = await send(.delete, "/api/users/me/sessions?except=current", as: mine[0])
        #expect(ended.number("ended") == 1)
        #expect(try await auth.sessions.verify(mine[1].id) == nil)
        #expect(try await auth.sessions.verify(mine[0].id) != nil)
        #expect(try await auth.sessions.verify(other.id) != nil)
        #expect(await send(.delete, "/api/users/me/sessions?except=all", as: mine[0]).status == 400)
        #expect(await send(.delete, "/api/users/me/sessions", as: mine[0]).number("ended") == 1)
        #expect(await send(.get, "/api/users/me/sessions", as: mine[0]).status == 401)
    }
}
