import Synchronization

/// Lets one task at a time in for each key, first come, first served.
///
/// Bounded by its callers: a request waits in at most one gate.
final class KeyGate: Sendable {
    /// Who waits for each key that is held.
    private let waiting = Mutex<[String: [CheckedContinuation<Void, Never>]]>([:])

    /// Runs `body` while nobody else is in for `key`.
    func with<Value>(_ key: String, _ body: () async throws -> Value) async rethrows -> Value {
        await enter(key)
        defer { leave(key) }
        return try await body()
    }

    /// Whether somebody waits for `key`.
    func isAwaited(_ key: String) -> Bool { waiting.withLock { $0[key]?.isEmpty == false } }

    private func enter(_ key: String) async {
        await withCheckedContinuation { continuation in
            let isFree = waiting.withLock { waiting in
                guard waiting[key] != nil else {
                    waiting[key] = []
                    return true
                }
                waiting[key]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func leave(_ key: String) {
        let next = waiting.withLock { waiting -> CheckedContinuation<Void, Never>? in
            guard let first = waiting[key]?.first else {
                waiting[key] = nil
                return nil
            }
            waiting[key]?.removeFirst()
            return first
        }
        next?.resume()
    }
}
