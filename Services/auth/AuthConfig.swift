import Core
import Crypto
import ServiceKit

/// The settings of auth, read once.
struct AuthConfig: Sendable {
    var sessionLimits = SessionLimits()
    var loginLimits = LoginLimiter.Limits()
    let passwordCost: Int
    let passwordThreads: Int
    let passwordRequestsMax: Int
    let store: StoreLocation
    let isProduction: Bool

    init(_ settings: Settings) {
        passwordCost = settings[SettingsCatalogue.authPasswordCost]
        passwordThreads = settings[SettingsCatalogue.authPasswordThreads]
        passwordRequestsMax = settings[SettingsCatalogue.authPasswordRequestsMax]
        store = settings[SettingsCatalogue.store]
        isProduction = settings[SettingsCatalogue.environment] == .production
        sessionLimits.idleMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authSessionIdle])
        sessionLimits.lifetimeMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authSessionLifetime])
        sessionLimits.sessionsPerUserMax = settings[SettingsCatalogue.authSessionsPerUserMax]
        sessionLimits.cachedSessionsMax = settings[SettingsCatalogue.authCachedSessionsMax]
        loginLimits.accountFailuresMax = settings[SettingsCatalogue.authLoginAccountFailuresMax]
        loginLimits.addressFailuresMax = settings[SettingsCatalogue.authLoginAddressFailuresMax]
        loginLimits.windowMilliseconds = Self.milliseconds(settings[SettingsCatalogue.authLoginWindow])
        loginLimits.successesPerMinuteMax = settings[SettingsCatalogue.authLoginSuccessesPerMinuteMax]
    }

    /// Opens and migrates the store.
    ///
    /// - Throws: `SettingsError` for a kind of store that there is not yet; what opening throws.
    func openStore() async throws -> any AuthStore {
        switch store {
        case .sqlite(let directory): return try await SQLiteAuthStore.open(directory: directory)
        case .redis:
            throw SettingsError(problems: [
                .init(
                    key: SettingsCatalogue.store.key,
                    value: "redis://…",
                    rule: "auth keeps its state in sqlite:DIR only"
                )
            ])
        }
    }

    /// The pool that hashes passwords.
    func makeHasher() throws -> PasswordHasher {
        try PasswordHasher(threads: passwordThreads, requestsMax: passwordRequestsMax, cost: passwordCost)
    }

    private static func milliseconds(_ duration: Duration) -> Int64 { Int64(duration / .milliseconds(1)) }
}
