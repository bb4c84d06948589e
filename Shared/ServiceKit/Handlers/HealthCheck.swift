import Synchronization

/// Whether one dependency can be reached; `/readyz` asks it.
package struct HealthCheck: Sendable {
    /// The dependency's name, such as `auth` or `store`.
    package let name: String
    private let check: @Sendable () async throws -> Void
    private let isRunning = Flag()

    /// - Parameters:
    ///   - name: As the answer of `/readyz` names it.
    ///   - check: Throws when the dependency cannot be used.
    package init(_ name: String, _ check: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.check = check
    }

    /// Whether the dependency answers in time; while an earlier check hangs, it does not.
    func passes(within limit: Duration) async -> Bool {
        guard isRunning.raise() else { return false }
        let isRunning = isRunning
        let check = check
        do {
            try await withDeadline(limit) {
                defer { isRunning.lower() }
                try await check()
            }
            return true
        } catch {
            return false
        }
    }

    private final class Flag: Sendable {
        private let isRaised = Mutex(false)

        func raise() -> Bool {
            isRaised.withLock { raised in
                defer { raised = true }
                return !raised
            }
        }

        func lower() { isRaised.withLock { $0 = false } }
    }
}
