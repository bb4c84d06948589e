import Contracts
import Core
import Foundation
import HTTP
import Testing

@testable import AuthService

@Suite("/internal/… of auth")
struct InternalRouteTests {
    @Test("verify tells whose session it is, and only that of a dead one")
    func verify() async throws {
        let auth = try await AuthFixture()
        let id = try await auth.logIn("support001").id
        let live = await auth.send(.post, "/internal/sessions/verify", json: #"{"session_id":"\#(id)"}"#)
        #expect(live.status == 200)
        #expect(live.names == ["active", "user_id", "user_name", "user_type", "is_admin", "expires_at"])
        #expect(live.number("active") == 1 && live.number("is_admin") == 1)
        #expect(live.string("user_type") == "Kefu")
        for dead in ["test", SessionID.make(), ""] {
            let answer = await auth.send(.post, "/internal/sessions/verify", json: #"{"session_id":"\#(dead)"}"#)
            #expect(answer.status == 200)
            #expect(answer.text == #"{"active":false}"#)
        }
        #expect(await auth.send(.post, "/internal/sessions/verify", json: "{}").status == 422)
    }

    @Test("lookup gives those that exist, and refuses over a hundred")
    func lookup() async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(
            .post,
            "/internal/users/lookup",
            json: #"{"user_ids":["user123","nobody","support001","..","张三"]}"#
        )
        #expect(answer.status == 200)
        #expect(Set(answer.list("users", "user_id")) == ["user123", "support001"])
        #expect(Set(answer.list("users", "user_type")) == ["Kehu", "Kefu"])
        let many = (0..<100).map { "\"u\($0)\"" }.joined(separator: ",")
        #expect(await auth.send(.post, "/internal/users/lookup", json: #"{"user_ids":[\#(many)]}"#).status == 200)
        let tooMany = await auth.send(.post, "/internal/users/lookup", json: #"{"user_ids":["x",\#(many)]}"#)
        #expect(tooMany.status == 422)
        #expect(await auth.send(.post, "/internal/users/lookup", json: #"{"user_ids":[]}"#).text == #"{"users":[]}"#)
    }

    @Test("lookup tells an agent's capacity when the account says so")
    func lookupCapacity() async throws {
        let auth = try await AuthFixture()
        let small = Account(
            userID: "small",
            userName: "Small",
            userType: .agent,
            capacity: 2,
            createdAt: auth.clock.now
        )
        try await auth.store.createAccounts([small], audit: [])
        func lookUp(_ userID: String) async throws -> UserSummary {
            let body = #"{"user_ids":["\#(userID)"]}"#
            let answer = await auth.send(.post, "/internal/users/lookup", json: body)
            return try #require(try JSONDecoder().decode(UserLookup.self, from: Data(answer.text.utf8)).users.first)
        }
        #expect(
            try await lookUp("small")
                == UserSummary(userID: "small", userName: "Small", userType: .agent, disabled: false, capacity: 2)
        )
        #expect(try await lookUp("support001").capacity == nil)
    }

    @Test("revocations start with a reset, then list logouts in order")
    func revocations() async throws {
        let auth = try await AuthFixture()
        let start = await auth.send(.get, "/internal/revocations")
        #expect(start.status == 200 && start.number("reset") == 1 && start.number("next") == 0)
        let epoch = try #require(start.string("epoch"))
        let first = try await auth.logIn().id
        let second = try await auth.logIn().id
        _ = await auth.send(.post, "/auth/logout", json: #"{"session_id":"\#(second)"}"#)
        _ = await auth.send(.post, "/auth/logout", json: #"{"session_id":"\#(first)"}"#)
        let page = await auth.send(.get, "/internal/revocations?epoch=\(epoch)&after=0&wait=25")
        #expect(page.number("reset") == 0 && page.number("next") == 2)
        #expect(
            page.list("revocations", "session_hash") == [SessionHash(of: second).wire, SessionHash(of: first).wire]
        )
        let rest = await auth.send(.get, "/internal/revocations?epoch=\(epoch)&after=1")
        #expect(rest.list("revocations", "session_hash") == [SessionHash(of: first).wire])
        #expect(await auth.send(.get, "/internal/revocations?epoch=\(epoch)&after=3").number("reset") == 1)
        #expect(await auth.send(.get, "/internal/revocations?epoch=other&after=2").number("reset") == 1)
    }

    @Test("a refresh is listed with its successor, and once more when the grace ends")
    func refreshListed() async throws {
        let auth = try await AuthFixture()
        let old = try await auth.logIn().id
        let new = try await auth.sessions.refresh(old).id
        let epoch = try await auth.store.revocationState().epoch
        for after in 0..<2 {
            let page = await auth.send(.get, "/internal/revocations?epoch=\(epoch)&after=\(after)")
            #expect(page.list("revocations", "session_hash") == [SessionHash(of: old).wire])
            #expect(page.list("revocations", "replaced_by") == [SessionHash(of: new).wire])
            auth.clock.advance(10_000)
            try await auth.sessions.sweep()
        }
        #expect(auth.sessions.feed.newest == 2)
    }

    @Test("bad query values are 400", arguments: ["after=-1", "after=x", "wait=31", "wait=-1", "wait=1.5", "after="])
    func badQuery(query: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.get, "/internal/revocations?\(query)")
        #expect(answer.status == 400)
        #expect(answer.code == "bad_request")
    }
}
