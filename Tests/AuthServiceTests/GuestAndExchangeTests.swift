import Core
import Crypto
import Foundation
import HTTP
import Storage
import TestSupport
import Testing

@testable import AuthService

@Suite("/auth/guest and /auth/exchange")
struct GuestAndExchangeTests {
    @Test("a guest is a customer of its own, with the name it gives, on both paths", arguments: ["/auth", "/api/auth"])
    func guest(prefix: String) async throws {
        let auth = try await AuthFixture()
        let named = await auth.send(.post, prefix + "/guest", json: #"{"user_name":" Ann "}"#)
        #expect(named.status == 200)
        #expect(named.names == ["session_id", "user_id", "user_name", "user_type", "expires_at"])
        #expect(named.string("user_name") == "Ann" && named.string("user_type") == "Kehu")
        let userID = try #require(named.string("user_id"))
        #expect(userID.hasPrefix("guest-") && userID.utf8.count == 22 && Identifier.isUserID(userID))
        let unnamed = await auth.send(.post, prefix + "/guest")
        #expect(unnamed.string("user_name") == "Guest" && unnamed.string("user_id") != userID)
        let session = try await auth.sessions.verify(named.string("session_id") ?? "")
        #expect(session?.userType == .customer && session?.session.userID == userID)
        // Nobody can log in to it, and there is no password to change.
        await #expect(throws: AuthError.invalidCredentials) { try await auth.logIn(userID, "password123") }
        let headers: Headers = ["X-Session-Id": named.string("session_id") ?? ""]
        let change = #"{"old_password":"","new_password":"correct horse"}"#
        #expect(await auth.send(.put, "/api/users/me/password", json: change, headers: headers).status == 404)
    }

    @Test(
        "a guest's name is checked",
        arguments: [#""\u0007""#, #""""#, "7", "\"\(String(repeating: "n", count: 129))\""]
    )
    func guestName(json: String) async throws {
        let auth = try await AuthFixture()
        let answer = await auth.send(.post, "/auth/guest", json: #"{"user_name":\#(json)}"#)
        #expect(answer.status == 422 && answer.list("errors", "pointer") == ["#/user_name"])
        #expect(auth.guests.count == 0)
    }

    @Test("guests are limited by address and in all, and can be turned off")
    func guestLimits() async throws {
        var limits = GuestLogin.Limits()
        limits.perMinuteMax = 2
        limits.countMax = 3
        let auth = try await AuthFixture(guestLimits: limits)
        for _ in 0..<2 { #expect(await auth.send(.post, "/auth/guest").status == 200) }
        let limited = await auth.send(.post, "/auth/guest")
        #expect(limited.status == 429 && limited.headers["Retry-After"] == "30")
        #expect(await auth.send(.post, "/auth/guest", address: "192.0.2.2").status == 200)
        #expect(await auth.send(.post, "/auth/guest", address: "192.0.2.3").status == 503)
        limits.isEnabled = false
        let off = try await AuthFixture(guestLimits: limits)
        let refused = await off.send(.post, "/auth/guest")
        #expect(refused.status == 403 && refused.code == "guests_disabled")
    }

    @Test("an IPv6 network is one address, and a guest that could not be stored takes no place")
    func guestsOfANetwork() async throws {
        var limits = GuestLogin.Limits()
        limits.perMinuteMax = 2
        let auth = try await AuthFixture(guestLimits: limits)
        for (address, status) in [("2001:db8::1", 200), ("2001:db8::2", 200), ("2001:db8::3", 429)] {
            #expect(await auth.send(.post, "/auth/guest", address: address).status == status)
        }
        await auth.store.close()
        #expect(await auth.send(.post, "/auth/guest").status >= 500)
        #expect(auth.guests.count == 2)
    }

    @Test("a guest's session ends after its own times; the account goes after the retention, and makes room")
    func guestExpiry() async throws {
        var sessionLimits = SessionLimits()
        sessionLimits.guests = .init(idleMilliseconds: 1000, lifetimeMilliseconds: 3000)
        var limits = GuestLogin.Limits()
        limits.retentionMilliseconds = 2000
        limits.countMax = 1
        let auth = try await AuthFixture(limits: sessionLimits, guestLimits: limits)
        let guest = await auth.send(.post, "/auth/guest")
        let userID = try #require(guest.string("user_id"))
        auth.clock.advance(999)
        // Use prolongs it by its own time, not by other users'.
        #expect(try await auth.sessions.verify(guest.string("session_id") ?? "") != nil)
        auth.clock.advance(1000)
        #expect(try await auth.sessions.verify(guest.string("session_id") ?? "") == nil)
        auth.clock.advance(3000)
        try await auth.guests.deleteExpired()
        #expect(try await auth.store.account(userID) != nil)
        auth.clock.advance(1)
        try await auth.guests.deleteExpired()
        #expect(try await auth.store.account(userID) == nil)
        #expect(auth.guests.count == 0)
        let told = try await auth.store.revocations(after: 0, limit: 10).map(\.subject)
        #expect(told.last == .user(userID) && auth.sessions.feed.newest == told.count)
        #expect(await auth.send(.post, "/auth/guest").status == 200)
        let another = try #require(
            try await auth.store.accounts(AccountFilter(userType: .customer), after: nil, limit: 9).first
        )
        #expect(another.isGuest)
        try await auth.accounts.delete(another.userID, by: .command)
        try await auth.guests.recount()
        #expect(auth.guests.count == 0)
        #expect(await auth.send(.post, "/auth/guest").status == 200)
        // A service started anew counts those there are.
        #expect(try await GuestLogin.start(auth.sessions, limits).count == 1)
    }

    // MARK: - Exchange

    /// A token signed as the site's backend does.
    private func token(
        _ auth: AuthFixture,
        _ userID: String = "site-7",
        name: String? = "Ann",
        jti: String = UUID().uuidString,
        lifetime: Int = 60,
        secret: [UInt8] = AuthFixture.exchangeSecret
    ) -> String {
        let now = Int(auth.clock.now.milliseconds / 1000)
        let nameClaim = name.map { #","name":"\#($0)""# } ?? ""
        let claims = #"{"sub":"\#(userID)","iat":\#(now),"exp":\#(now + lifetime),"jti":"\#(jti)"\#(nameClaim)}"#
        let text =
            Base64URL.encode(Array(#"{"alg":"HS256","typ":"JWT"}"#.utf8)) + "." + Base64URL.encode(Array(claims.utf8))
        return text + "." + Base64URL.encode(HMACSHA256.code(for: Array(text.utf8), key: secret))
    }

    private func exchange(_ auth: AuthFixture, _ token: String) async -> Answer {
        await auth.send(.post, "/auth/exchange", json: #"{"token":"\#(token)"}"#)
    }

    @Test("a token is a login: the account is made, and renamed by a later one")
    func exchange() async throws {
        let auth = try await AuthFixture()
        let first = await exchange(auth, token(auth))
        #expect(first.status == 200)
        #expect(first.names == ["session_id", "user_id", "user_name", "user_type", "expires_at"])
        #expect(first.string("user_id") == "site-7" && first.string("user_type") == "Kehu")
        let second = await exchange(auth, token(auth, name: "Ann Li"))
        #expect(second.string("user_name") == "Ann Li")
        let session = try await auth.sessions.verify(first.string("session_id") ?? "")
        #expect(session?.userName == "Ann Li")
        // Whoever has read the name before reads it again.
        #expect(try await auth.store.revocations(after: 0, limit: 10).map(\.subject) == [.user("site-7")])
        #expect(auth.sessions.feed.newest == 1)
        // A token that says nothing of the name leaves it.
        #expect(await exchange(auth, token(auth, name: nil)).string("user_name") == "Ann Li")
        // An existing customer's too, and their password still works.
        #expect(await exchange(auth, token(auth, "user123", name: "张三")).status == 200)
        _ = try await auth.logIn()
    }

    @Test("a token is good once, also after a restart")
    func replay() async throws {
        let auth = try await AuthFixture()
        let token = token(auth)
        #expect(await exchange(auth, token).status == 200)
        let again = await exchange(auth, token)
        #expect(again.status == 401 && again.code == "invalid_token")
        #expect(again.string("detail")?.contains("jti") == true)
        let beginning = auth.sessions.beginning(
            SessionID.make(),
            Account(userID: "site-7", userName: "", userType: .customer, createdAt: auth.clock.now),
            from: SessionOrigin(),
            audit: AuditEntry(.exchangeLogin, by: Actor(), at: auth.clock.now)
        )
        let account = try #require(try await auth.store.account("site-7"))
        let jti = SHA256.hash("once")
        let until = auth.clock.now.advanced(byMilliseconds: 90_000)
        _ = try await auth.store.exchange(token: jti, expiresAt: until, for: account, naming: nil, beginning)
        await auth.store.close()
        let store = try await SQLiteAuthStore.open(directory: auth.directory.path)
        await #expect(throws: AuthError.self) {
            _ = try await store.exchange(token: jti, expiresAt: until, for: account, naming: nil, beginning)
        }
    }

    @Test("a token that is taken, or that nobody could tell about, is no failure of its address")
    func countsNothing() async throws {
        var limits = LoginLimiter.Limits()
        limits.addressFailuresMax = 1
        let auth = try await AuthFixture(loginLimits: limits)
        for _ in 0..<2 { #expect(await exchange(auth, token(auth)).status == 200) }
        await auth.store.close()
        for _ in 0..<2 { #expect(await exchange(auth, token(auth)).status >= 500) }
    }

    @Test("used tokens are remembered as long as they could be used, and no longer")
    func usedTokens() async throws {
        let auth = try await AuthFixture()
        func remembered() async throws -> Int? {
            try await auth.store.database.read { try $0.first("SELECT count(*) FROM exchanged_token") { $0.int(0) } }
        }
        let first = token(auth, lifetime: 60)
        #expect(await exchange(auth, first).status == 200)
        // To the end of the leeway.
        auth.clock.advance(89_999)
        #expect(await exchange(auth, first).string("detail")?.contains("jti") == true)
        #expect(await exchange(auth, token(auth)).status == 200)
        #expect(try await remembered() == 2)
        auth.clock.advance(1)
        #expect(await exchange(auth, first).string("detail")?.contains("exp") == true)
        #expect(await exchange(auth, token(auth)).status == 200)
        #expect(try await remembered() == 2)
    }

    @Test(
        "a token does not open an agent's, a disabled, a deleted or a guest's account",
        arguments: ["support001", "test", "test_user"]
    )
    func unusable(userID: String) async throws {
        let auth = try await AuthFixture()
        _ = try await auth.accounts.update("test", AccountChange(isDisabled: true), by: .command)
        try await auth.accounts.delete("test_user", by: .command)
        let answer = await exchange(auth, token(auth, userID))
        #expect(answer.status == 403 && answer.code == "forbidden")
        #expect(try await auth.store.sessions(of: userID, now: auth.clock.now).isEmpty)
    }

    @Test("a bad token is 401 naming the rule, counts as a failure of its address, and is off without a secret")
    func badTokens() async throws {
        var limits = LoginLimiter.Limits()
        limits.addressFailuresMax = 2
        let auth = try await AuthFixture(loginLimits: limits)
        let forged = await exchange(auth, token(auth, secret: Array(repeating: 1, count: 32)))
        #expect(forged.status == 401 && forged.code == "invalid_token")
        #expect(await exchange(auth, token(auth, lifetime: 301)).string("detail")?.contains("exp") == true)
        let limited = await exchange(auth, token(auth))
        #expect(limited.status == 429 && limited.headers["Retry-After"] == "1")
        let off = try await AuthFixture(exchangeSecret: nil)
        #expect(await exchange(off, token(off)).code == "exchange_disabled")
        let unknown = await auth.send(.post, "/auth/exchange", json: #"{"token":7,"more":1}"#)
        #expect(unknown.list("errors", "pointer") == ["#/token", "#/more"])
    }
}
