import Core

/// What is done once a minute: guests whose time is over are deleted, and the audit trail is cut to its limits.
struct Upkeep: Sendable {
    private static let intervalMilliseconds: Int64 = 60_000
    /// Entries of the trail deleted in one step.
    private static let trimmedMax = 1000

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
        while !Task.isCancelled {
            do { try await once() } catch {
                guard !Task.isCancelled else { return }
                log.error("upkeep_failed", ["error": .string(String(reflecting: error))])
            }
            do { try await sessions.clock.sleep(Self.intervalMilliseconds) } catch { return }
        }
    }

    func once() async throws {
        try await guests.deleteExpired()
        while try await sessions.store.trimAudit(auditLimits, countMax: Self.trimmedMax) > 0 {}
    }
}
