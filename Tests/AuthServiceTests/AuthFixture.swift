import Core
import Crypto
import Foundation
import HTTP
import ServiceKit
import Storage
import Synchronization
import TestSupport

@testable import AuthService

/// A clock that only moves when told to.
final class ManualClock: Sendable {
    private let current = Mutex<Int64>(1_760_000_000_000)

    var now: Timestamp { Timestamp(milliseconds: current.withLock { $0 }) }

    func advance(_ milliseconds: Int64) { current.withLock { $0 += milliseconds } }

    var authClock: AuthClock {
        AuthClock(now: { self.now }, monotonicMilliseconds: { self.now.milliseconds })
    }
}

/// A service over a fresh store, with the demo accounts.
struct AuthFixture {
    let directory: TemporaryDirectory
    let clock: ManualClock
    let store: SQLiteAuthStore
    let hasher: PasswordHasher
    let sessions: SessionService
    let passwords: PasswordLogin
    let guests: GuestLogin
    let accounts: AccountService
    let router: Router

    static let log = Log(service: "auth", level: .error)
    static let exchangeSecret = Array("a secret of the site, 32 bytes or more".utf8)

    init(
        limits: SessionLimits = SessionLimits(),
        loginLimits: LoginLimiter.Limits = LoginLimiter.Limits(),
        guestLimits: GuestLogin.Limits = GuestLogin.Limits(),
        exchangeSecret: [UInt8]? = AuthFixture.exchangeSecret,
        hasher: PasswordHasher? = nil,
        log: Log = AuthFixture.log,
        history: (any ChangeLog)? = nil
    ) async throws {
        directory = try TemporaryDirectory()
        let clock = ManualClock()
        self.clock = clock
        let store =
            if let history {
                SQLiteAuthStore(
                    try await Database.openCopy(
                        in: directory.path,
                        name: "auth",
                        migrations: AuthSchema.migrations,
                        log: history
                    )
                )
            } else { try await SQLiteAuthStore.open(directory: directory.path) }
        self.store = store
        let hasher = try hasher ?? PasswordHasher(cost: 1)
        self.hasher = hasher
        _ = try await DemoAccounts(store: store, hasher: hasher).create(random: false, now: clock.now)
        sessions = try await SessionService.start(store: store, limits: limits, clock: clock.authClock, log: log)
        let limiter = LoginLimiter(loginLimits, clock: clock.authClock.monotonicMilliseconds, log: log) {
            try await store.hasSession($0, now: clock.now) { [network = $1] in ClientNetwork.key(of: $0) == network }
        }
        passwords = PasswordLogin(sessions, hasher: hasher, limiter: limiter)
        guests = try await GuestLogin.start(sessions, guestLimits)
        accounts = AccountService(sessions, hasher: hasher, limiter: limiter)
        let verifier = exchangeSecret.map { ExchangeVerifier(secrets: [$0], audience: nil) }
        var router = Router()
        router.mount(
            SessionRoutes(
                sessions,
                passwords: passwords,
                guests: guests,
                exchange: ExchangeLogin(sessions, verifier: verifier, limiter: limiter),
                metrics: Metrics(),
                now: clock.authClock.now
            )
        )
        router.mount(UserRoutes(accounts, rules: PasswordRules()))
        router.mount(AuditRoutes(sessions))
        router.mount(InternalRoutes(sessions))
        self.router = router
    }

    /// Logs a demo account in.
    func logIn(_ username: String = "user123", _ password: String = "password123") async throws -> IssuedSession {
        try await passwords.logIn(
            PasswordLogin.Credentials(
                username: username,
                password: password,
                userType: nil,
                origin: SessionOrigin(remoteAddress: "192.0.2.1"),
                requestID: "-"
            )
        )
    }

    /// Sends a request through the router.
    func send(
        _ method: HTTP.Method,
        _ target: String,
        json: String? = nil,
        headers: Headers = [:],
        address: String = "192.0.2.1",
        isSecure: Bool = false
    ) async -> Answer {
        var headers = headers
        if json != nil, headers["Content-Type"] == nil { headers["Content-Type"] = "application/json" }
        let request = Request(
            head: RequestHead(method: method, target: target, headers: headers),
            body: RequestBody(Array((json ?? "").utf8)),
            remoteAddress: address,
            isSecure: isSecure
        )
        return Answer(await router.respond(to: request))
    }
}

/// A response with its JSON read.
struct Answer {
    let status: Int
    let headers: Headers
    let text: String

    init(_ response: Response) {
        status = response.status.code
        headers = response.headers
        if case .bytes(let bytes) = response.body { text = String(decoding: bytes, as: UTF8.self) } else { text = "" }
    }

    private var object: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]) ?? [:]
    }

    /// The member as text.
    func string(_ name: String) -> String? { object[name] as? String }
    /// The member as a number or truth value.
    func number(_ name: String) -> Int? { object[name] as? Int }
    /// The member as a list of objects' members.
    func list(_ name: String, _ member: String) -> [String] {
        (object[name] as? [[String: Any]] ?? []).compactMap { $0[member] as? String }
    }
    var names: Set<String> { Set(object.keys) }
    var code: String? { string("code") }
}

extension SQLiteAuthStore {
    /// A store in `directory`, of the engine that the run is for; a second one there is another instance's.
    static func open(
        directory: String,
        revocationsKept: Int = revocationsKeptDefault
    ) async throws -> SQLiteAuthStore {
        let database = try await StoreEngine.open(directory + "/auth.db", migrations: AuthSchema.migrations)
        return SQLiteAuthStore(database, revocationsKept: revocationsKept)
    }
}
