/// The settings of guests and of the audit trail.
extension SettingsCatalogue {
    package static let authGuests = Setting.bool(
        "auth.guests",
        default: true,
        "whether visitors get a session without an account (POST /auth/guest)"
    )

    package static let authGuestsPerMinuteMax = Setting.integer(
        "auth.guests_per_minute_max",
        default: 30,
        in: 1...1_000_000,
        "guests from one address in a minute; more are 429"
    )

    package static let authGuestsMax = Setting.integer(
        "auth.guests_max",
        default: 1_000_000,
        in: 1...100_000_000,
        "guests' accounts there may be; one more is 503"
    )

    package static let authGuestIdle = Setting.duration(
        "auth.guest_idle_s",
        default: 86_400,
        in: 1...31_536_000,
        "how long a guest's session lives without use"
    )

    package static let authGuestLifetime = Setting.duration(
        "auth.guest_lifetime_s",
        default: 604_800,
        in: 1...31_536_000,
        "how long a guest's session lives in any case"
    )

    package static let authGuestRetention = Setting.duration(
        "auth.guest_retention_s",
        default: 604_800,
        in: 0...31_536_000,
        "how long after that a guest's account stays, so that agents can still write to it"
    )

    package static let authAuditEntriesMax = Setting.integer(
        "auth.audit_entries_max",
        default: 1_000_000,
        in: 1000...100_000_000,
        "entries of the audit trail kept of what agents and administrators did; the oldest ones past it are deleted"
    )

    package static let authAuditAnonymousEntriesMax = Setting.integer(
        "auth.audit_anonymous_entries_max",
        default: 100_000,
        in: 1000...100_000_000,
        "the same of failed logins and of what customers did"
    )
}
