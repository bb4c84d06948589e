/// How many entries the audit trail keeps; the oldest ones past it are deleted.
struct AuditLimits: Sendable, Equatable {
    /// Of what agents, administrators and the operator did.
    var entriesMax = 1_000_000
    /// Of what anybody can do: failed logins, and all that customers do.
    var anonymousEntriesMax = 100_000
}
