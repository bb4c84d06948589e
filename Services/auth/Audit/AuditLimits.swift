/// How many entries the audit trail keeps; the oldest ones past it are deleted.
struct AuditLimits: Sendable, Equatable {
    /// Of what people with an account did.
    var entriesMax = 1_000_000
    /// Of what anybody can do: failed logins and guests'.
    var anonymousEntriesMax = 100_000
}
