import Core
import Foundation
import HTTP
import Storage
import Testing

@testable import AuthService

@Suite("The audit trail")
struct AuditTests {
    private let auth: AuthFixture

    init() async throws { auth = try await AuthFixture() }

    private func list(_ query: String = "", as user: String = "support001") async throws -> Answer {
        let id = try await auth.logIn(user).id
        return await auth.send(.get, "/api/audit\(query)", headers: ["X-Session-Id": id])
    }

    private func entry(
        _ event: AuditEvent,
        _ milliseconds: Int64,
        actor: String? = nil,
        report: String? = nil
    ) -> AuditEntry {
        AuditEntry(
            event,
            by: Actor(userID: actor),
            at: Timestamp(milliseconds: milliseconds),
            reportID: report
        )
    }

    @Test("logins, failures, logouts and changes of users are kept, with who, from where and by which request")
    func events() async throws {
        let session = try await auth.logIn()
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn("user123", "wrong") }
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn("hunter2", "hunter2") }
        try await auth.sessions.logOut(session.id, by: Actor(remoteAddress: "192.0.2.1", requestID: "r"))
        let admin = Actor(userID: "support001")
        _ = try await auth.accounts.update("test", AccountChange(userName: "T", isDisabled: true), by: admin)
        try await auth.accounts.resetPassword("test", to: "correct horse", by: admin)
        try await auth.accounts.delete("test", by: admin)
        let trail = try await list()
        #expect(
            Array(trail.list("entries", "event").prefix(8)) == [
                "login", "user_deleted", "password_reset", "user_updated", "logout", "login_failed", "login_failed",
                "login",
            ]
        )
        // A name that nobody has may be a password in the wrong field.
        #expect(!trail.text.contains("hunter2"))
        #expect(trail.text.contains(#""changed":"user_name,disabled""#))
        let logout = try await list("?event=logout")
        #expect(logout.list("entries", "actor_id") == ["user123"])
        #expect(logout.list("entries", "remote_address") == ["192.0.2.1"])
        #expect(logout.list("entries", "request_id") == ["r"])
    }

    @Test("what a guest does has the share of those without an account, and pushes out nobody's entries")
    func guestsShare() async throws {
        _ = try await auth.logIn("support001")
        auth.clock.advance(1)
        let guest = await auth.send(.post, "/auth/guest")
        let headers: Headers = ["X-Session-Id": try #require(guest.string("session_id"))]
        #expect(await auth.send(.patch, "/api/users/me", json: #"{"user_name":"A"}"#, headers: headers).status == 200)
        #expect(await auth.send(.post, "/auth/logout", headers: headers).status == 200)
        let limits = AuditLimits(entriesMax: 1, anonymousEntriesMax: 0)
        while try await auth.store.trimAudit(limits, countMax: 2) > 0 {}
        let left = try await auth.store.auditEntries(AuditFilter(), before: nil, limit: 10)
        #expect(left.map(\.entry.actor.userID) == ["support001"])
    }

    @Test("is for administrators")
    func roles() async throws {
        #expect(try await list(as: "user123").status == 403)
        #expect(await auth.send(.get, "/api/audit").status == 401)
    }

    @Test("pages backwards through every filter without hole or repeat, also within one millisecond")
    func paging() async throws {
        let base: Int64 = 1_700_000_000_000
        var entries: [AuditEntry] = []
        for index in 0..<30 {
            entries.append(entry(index % 2 == 0 ? .login : .logout, base + Int64(index / 10), actor: "a\(index % 3)"))
        }
        try await auth.store.append(entries)
        func walk(_ filter: AuditFilter, limit: Int) async throws -> [AuditEntry] {
            var found: [AuditEntry] = []
            var position: AuditPosition?
            while true {
                let page = try await auth.store.auditEntries(filter, before: position, limit: limit)
                found += page.map(\.entry)
                guard page.count == limit, let last = page.last else { return found }
                position = AuditPosition(cursor: last.position.cursor)
            }
        }
        let from = Timestamp(milliseconds: base)
        let to = Timestamp(milliseconds: base + 3)
        let filters = [
            AuditFilter(from: from, to: to), AuditFilter(event: .login, from: from, to: to),
            AuditFilter(actorID: "a1", from: from, to: to),
            AuditFilter(event: .logout, actorID: "a2", from: from, to: to),
            AuditFilter(from: Timestamp(milliseconds: base + 1), to: Timestamp(milliseconds: base + 2)),
            AuditFilter(userID: "nobody", from: from, to: to),
        ]
        for filter in filters {
            let expected = entries.reversed().filter { entry in
                (filter.event == nil || filter.event == entry.event)
                    && (filter.actorID == nil || filter.actorID == entry.actor.userID)
                    && filter.userID == nil
                    && filter.from.map { entry.at >= $0 } ?? true && filter.to.map { entry.at < $0 } ?? true
            }
            for limit in [1, 3, 100] { #expect(try await walk(filter, limit: limit) == expected) }
        }
    }

    @Test(
        "bad questions are 400 and named",
        arguments: ["event=x", "limit=501", "cursor=x", "from=yesterday", "actor_id=a/b"]
    )
    func badQuery(query: String) async throws {
        let answer = try await list("?\(query)")
        #expect(answer.status == 400)
        #expect(answer.string("detail")?.hasPrefix(query.prefix { $0 != "=" } + ": ") == true)
    }

    @Test("another service's report is stored once, however often it is sent")
    func reports() async throws {
        let body = """
            {"entries":[{"id":"r1","at":"2026-01-21T10:00:00.000Z","event":"conversation_read","actor_id":"support001",
            "conversation_id":"c:user123","remote_address":"192.0.2.1","request_id":"q"}]}
            """
        for _ in 0..<2 { #expect(await auth.send(.post, "/internal/audit", json: body).status == 204) }
        let found = try await list("?conversation_id=c:user123")
        #expect(found.list("entries", "actor_id") == ["support001"])
        #expect(found.list("entries", "event") == ["conversation_read"])
        let unknown = body.replacing("conversation_read", with: "login")
        #expect(await auth.send(.post, "/internal/audit", json: unknown).status == 422)
    }

    @Test("entries cannot be changed")
    func appendOnly() async throws {
        await #expect(throws: SQLiteError.self) {
            try await auth.store.database.write { try $0.run("UPDATE audit SET actor_id = 'x'") }
        }
    }

    @Test("what customers do pushes out nothing that agents, administrators or the operator did")
    func shares() async throws {
        try await auth.store.append((0..<9).map { entry(.login, Int64($0), actor: "user123") })
        try await auth.store.append([entry(.login, 0, actor: "support001"), entry(.userUpdated, 1)])
        while try await auth.store.trimAudit(AuditLimits(entriesMax: 100, anonymousEntriesMax: 2), countMax: 5) > 0 {}
        func found(_ filter: AuditFilter) async throws -> [Int64] {
            try await auth.store.auditEntries(filter, before: nil, limit: 20).map(\.entry.at.milliseconds)
        }
        #expect(try await found(AuditFilter(actorID: "user123")) == [8, 7])
        #expect(try await found(AuditFilter(actorID: "support001")) == [0])
        #expect(try await found(AuditFilter(event: .userUpdated)) == [1])
    }

    @Test("is cut to its limits, each share by itself, the oldest first")
    func trimming() async throws {
        try await auth.store.append((0..<20).map { entry(.loginFailed, Int64($0)) })
        try await auth.store.append((0..<20).map { entry(.login, Int64($0)) })
        let limits = AuditLimits(entriesMax: 15, anonymousEntriesMax: 5)
        var deleted = 0
        while true {
            let count = try await auth.store.trimAudit(limits, countMax: 4)
            guard count > 0 else { break }
            #expect(count <= 8)
            deleted += count
        }
        let left = try await auth.store.auditEntries(AuditFilter(), before: nil, limit: 100).map(\.entry)
        let failures = left.filter { $0.event == .loginFailed }
        #expect(failures.map(\.at.milliseconds) == [19, 18, 17, 16, 15])
        #expect(left.count == 20)
        // The demo accounts' four entries and the newest eleven logins.
        #expect(left.filter { $0.event == .login }.map(\.at.milliseconds).min() == 9)
    }

    @Test("every question about the trail finds an index")
    func plans() async throws {
        let questions = [
            AuditFilter(), AuditFilter(event: .login), AuditFilter(actorID: "a"), AuditFilter(userID: "a"),
            AuditFilter(conversationID: "c:a"),
        ]
        for filter in questions {
            let plan = try await auth.store.database.read { try $0.queryPlan(Connection.auditStatement(filter)) }
            #expect(plan.allSatisfy { $0.hasPrefix("SEARCH audit USING INDEX") }, "\(plan)")
        }
    }
}
