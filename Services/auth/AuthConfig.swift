import Core
import Crypto
import ServiceKit

/// The settings of auth, read once.
struct AuthConfig: Sendable {
    var sessionLimits = SessionLimits()
    var loginLimits = LoginLimiter.Limits()
    var guestLimits = GuestLogin.Limits()
    var auditLimits = AuditLimits()
    let passwordRules: PasswordRules
    /// `nil`: the site has no login of its own, and nothing is exchanged.
    let exchangeVerifier: ExchangeVerifier?
    let passwordCost: Int
    let passwordThreads: Int
    let passwordRequestsMax: Int
    let isProduction: Bool

    /// - Throws: `SettingsError` when the file of common passwords cannot be used.
    init(_ settings: Settings) throws {
        passwordCost = settings[SettingsCatalogue.authPasswordCost]
        passwordThreads = settings[SettingsCatalogue.authPasswordThreads]
        passwordRequestsMax = settings[SettingsCatalogue.authPasswordRequestsMax]
        isProduction = settings[SettingsCatalogue.environment] == .production
        passwordRules = PasswordRules(
            charactersMin: settings[SettingsCatalogue.authPasswordCharactersMin],
            common: try Self.commonPasswords(settings)
        )
        let secrets = [
            settings[SettingsCatalogue.authExchangeSecret], settings[SettingsCatalogue.authExchangeSecretPrevious],
        ].compactMap { $0.map { Array($0.utf8) } }
        let audience = settings[SettingsCatalogue.authExchangeAudience]
        exchangeVerifier = secrets.isEmpty ? nil : ExchangeVerifier(secrets: secrets, audience: audience)
        sessionLimits.users.idleMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authSessionIdle])
        sessionLimits.users.lifetimeMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authSessionLifetime])
        sessionLimits.sessionsPerUserMax = settings[SettingsCatalogue.authSessionsPerUserMax]
        sessionLimits.cachedSessionsMax = settings[SettingsCatalogue.authCachedSessionsMax]
        loginLimits.accountFailuresMax = settings[SettingsCatalogue.authLoginAccountFailuresMax]
        loginLimits.addressFailuresMax = settings[SettingsCatalogue.authLoginAddressFailuresMax]
        loginLimits.accountFailuresEverywhereMax = settings[SettingsCatalogue.authLoginAccountFailuresEverywhereMax]
        loginLimits.attemptsAtOnceMax = max(1, passwordRequestsMax / 2)
        loginLimits.windowMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authLoginWindow])
        loginLimits.successesPerMinuteMax = settings[SettingsCatalogue.authLoginSuccessesPerMinuteMax]
        guestLimits.isEnabled = settings[SettingsCatalogue.authGuests]
        guestLimits.perMinuteMax = settings[SettingsCatalogue.authGuestsPerMinuteMax]
        guestLimits.countMax = settings[SettingsCatalogue.authGuestsMax]
        sessionLimits.guests.idleMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authGuestIdle])
        sessionLimits.guests.lifetimeMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authGuestLifetime])
        guestLimits.retentionMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authGuestRetention])
        auditLimits.entriesMax = settings[SettingsCatalogue.authAuditEntriesMax]
        auditLimits.anonymousEntriesMax = settings[SettingsCatalogue.authAuditAnonymousEntriesMax]
    }

    private static func commonPasswords(_ settings: Settings) throws(SettingsError) -> CommonPasswords {
        guard let path = settings[SettingsCatalogue.authCommonPasswordsFile] else { return CommonPasswords() }
        do {
            return try CommonPasswords(file: path)
        } catch {
            let key = SettingsCatalogue.authCommonPasswordsFile.key
            throw SettingsError(problems: [.init(key: key, value: "\"\(path)\"", rule: error.description)])
        }
    }

    /// Opens and migrates the store.
    ///
    /// - Parameter address: Where the service will listen; left out by commands, which do not wait for Redis.
    static func openStore(
        _ process: ServiceProcess,
        waitingAt address: Setting<HostPort>? = nil
    ) async throws -> any AuthStore {
        SQLiteAuthStore(
            try await process.openDatabase(
                databaseName,
                file: databaseFile,
                migrations: AuthSchema.migrations,
                waitingAt: address
            )
        )
    }

    static let databaseName = "auth"
    static let databaseFile = "auth.db"

    /// The pool that hashes passwords.
    func makeHasher() throws -> PasswordHasher {
        try PasswordHasher(threads: passwordThreads, requestsMax: passwordRequestsMax, cost: passwordCost)
    }

    /// The limits of logins; where a user has a live session they hold less.
    func makeLimiter(_ sessions: SessionService, log: Log) -> LoginLimiter {
        LoginLimiter(loginLimits, clock: sessions.clock.monotonicMilliseconds, log: log) { userID, network in
            try await sessions.store.hasSession(userID, now: sessions.clock.now()) { address in
                ClientNetwork.key(of: address) == network
            }
        }
    }

    private static func milliseconds(_ duration: Duration) -> Int64 { Int64(duration / .milliseconds(1)) }
}
