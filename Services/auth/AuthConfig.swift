import Core
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

    private static func milliseconds(_ duration: Duration) -> Int64 { Int64(duration / .milliseconds(1)) }
}
