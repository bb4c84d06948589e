import Synchronization

/// Whether the process is to stop, and who waits to hear of it.
final class StopRequest: Sendable {
    private struct State {
        var isRequested = false
        var failure: String?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    var isRequested: Bool { state.withLock { $0.isRequested } }

    /// Why the stop is a failure; `nil` for a clean one.
    var failure: String? { state.withLock { $0.failure } }

    /// Asks for the stop; the first failure given is kept.
    func request(failure: String? = nil) {
        let waiters = state.withLock { state in
            state.isRequested = true
            if state.failure == nil { state.failure = failure }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits for the request.
    func wait() async {
        await withCheckedContinuation { continuation in
            let isRequested = state.withLock { state in
                if !state.isRequested { state.waiters.append(continuation) }
                return state.isRequested
            }
            if isRequested { continuation.resume() }
        }
    }
}
