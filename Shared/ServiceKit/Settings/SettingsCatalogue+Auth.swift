/// The settings of the auth service.
extension SettingsCatalogue {
    static let auth: [any SettingDeclaration] = [
        authListen, authURL, authPasswordCost, authPasswordThreads, authPasswordRequestsMax,
        authPasswordCharactersMin, authCommonPasswordsFile,
        authSessionIdle, authSessionLifetime, authSessionsPerUserMax, authCachedSessionsMax,
        authLoginAccountFailuresMax, authLoginAddressFailuresMax, authLoginAccountFailuresEverywhereMax,
        authLoginWindow, authLoginSuccessesPerMinuteMax,
        authExchangeSecret, authExchangeSecretPrevious, authExchangeAudience,
        authGuests, authGuestsPerMinuteMax, authGuestsMax, authGuestIdle, authGuestLifetime, authGuestRetention,
        authAuditEntriesMax, authAuditAnonymousEntriesMax,
    ]

    package static let authListen = Setting.address(
        "auth.listen",
        default: HostPort(host: "127.0.0.1", port: 6001),
        "the address that auth listens on"
    )

    package static let authURL = Setting.url(
        "auth.url",
        default: BaseURL(HostPort(host: "127.0.0.1", port: 6001)),
        "where other services reach auth"
    )

    package static let authPasswordCost = Setting.integer(
        "auth.password_cost",
        default: 5,
        in: 1...11,
        "yescrypt's cost: each step doubles the work; 5 is about 15 ms and 16 MiB a login"
    )

    package static let authPasswordThreads = Setting.integer(
        "auth.password_threads",
        default: 1,
        in: 1...2,
        "threads that hash passwords"
    )

    package static let authPasswordRequestsMax = Setting.integer(
        "auth.password_requests_max",
        default: 64,
        in: 1...10_000,
        "logins hashing or waiting for it at once, half of them from one address; more are 503"
    )

    package static let authPasswordCharactersMin = Setting.integer(
        "auth.password_characters_min",
        default: 8,
        in: 8...128,
        "the shortest password that can be set"
    )

    package static let authCommonPasswordsFile = Setting.optionalPath(
        "auth.common_passwords_file",
        "more passwords that cannot be set, one a line in UTF-8, at most 1,000,000 lines and 32 MiB"
    )

    package static let authSessionIdle = Setting.duration(
        "auth.session_idle_s",
        default: 604_800,
        in: 1...31_536_000,
        "how long a session lives without use"
    )

    package static let authSessionLifetime = Setting.duration(
        "auth.session_lifetime_s",
        default: 2_592_000,
        in: 1...31_536_000,
        "how long a session lives in any case, refreshes included"
    )

    package static let authSessionsPerUserMax = Setting.integer(
        "auth.sessions_per_user_max",
        default: 50,
        in: 1...10_000,
        "sessions of one user; one more ends the oldest"
    )

    package static let authCachedSessionsMax = Setting.integer(
        "auth.cached_sessions_max",
        default: 20_000,
        in: 2...10_000_000,
        "sessions held in memory, about 400 bytes each; others are read from the store"
    )

    package static let authLoginAccountFailuresMax = Setting.integer(
        "auth.login_account_failures_max",
        default: 10,
        in: 1...1_000_000,
        "failed logins to one account from one address in a window; from then on each doubles a wait of 1 s, with 429"
    )

    package static let authLoginAddressFailuresMax = Setting.integer(
        "auth.login_address_failures_max",
        default: 100,
        in: 1...1_000_000,
        "failed logins from one address in a window; then as above"
    )

    package static let authLoginAccountFailuresEverywhereMax = Setting.integer(
        "auth.login_account_failures_everywhere_max",
        default: 1000,
        in: 1...1_000_000,
        "failed logins to one account in a window; then as above, but not for addresses where its user is logged in"
    )

    package static let authLoginWindow = Setting.duration(
        "auth.login_window_s",
        default: 900,
        in: 1...86_400,
        "how long a failed login counts, and the longest wait"
    )

    package static let authLoginSuccessesPerMinuteMax = Setting.integer(
        "auth.login_successes_per_minute_max",
        default: 3000,
        in: 1...1_000_000,
        "logins that succeed from one address in a minute; more are 429"
    )

    package static let authExchangeSecret = Setting.optionalSecret(
        "auth.exchange_secret",
        bytesMin: 32,
        "what the site's own login signs tokens for /auth/exchange with; without it they are refused"
    )

    package static let authExchangeSecretPrevious = Setting.optionalSecret(
        "auth.exchange_secret_previous",
        bytesMin: 32,
        "the secret before it, while the site changes over"
    )

    package static let authExchangeAudience = Setting.optionalString(
        "auth.exchange_audience",
        bytes: 1...256,
        "what those tokens must name in aud; without it they must name nothing"
    )

    static let authRelations: [Relation] = [
        { settings in
            guard settings[authExchangeSecretPrevious] != nil, settings[authExchangeSecret] == nil else { return nil }
            return .init(
                key: authExchangeSecretPrevious.key,
                value: "***",
                rule: "only together with \(authExchangeSecret.key)"
            )
        }
    ]
}
