import Core

/// What is done once a minute: guests whose time is over are deleted; and at every tenth time the audit trail is cut to
/// its limits and guests are counted, which takes a while when there are a million.
struct Upkeep: Sendable {
    private static let intervalMilliseconds: Int64 = 60_000
    /// Entries of the trail deleted in one step.
    private static let trimmedMax = 10_000
    private static let roundsPerTrim = 10

    private let sessions: SessionService
    private let guests: GuestLogin
    private let auditLimits: AuditLimits

    init(_ sessions: SessionService, _ guests: GuestLogin, _ auditLimits: AuditLimits) {
        self.sessions = sessions
        self.guests = guests
        self.auditLimits = auditLimits
    }

    /// Works until the task is cancelled.
    func run(_ log: Log) async {
        var round = 0
        while !Task.isCancelled {
            do { try await once(isTrimming: round % Self.roundsPerTrim == 0) } catch {
                guard !Task.isCancelled else { return }
                log.error("upkeep_failed", ["error": .string(String(reflecting: error))])
            }
            round += 1
            do { try await sessions.clock.sleep(Self.intervalMilliseconds) } catch { return }
        }
    }

    func once(isTrimming: Bool) async throws {
        try await guests.deleteExpired()
        guard isTrimming else { return }
        try await guests.recount()
        while try await sessions.store.trimAudit(auditLimits, countMax: Self.trimmedMax) > 0 {}
    }
}
