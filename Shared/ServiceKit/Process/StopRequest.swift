import Synchronization

/// Whether the process is to stop, and who waits to hear of it.
final class StopRequest: Sendable {
    /// The stop has come before what it was waited for.
    struct Requested: Error {}

    private struct State {
        var isRequested = false
        var failure: String?
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var lastWaiter = 0
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
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits for the request, or until the task is cancelled.
    func wait() async {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    // A cancellation after this look finds the waiter.
                    let isOver = state.isRequested || Task.isCancelled
                    if !isOver { state.waiters[number] = continuation }
                    return isOver
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    /// Does `work`, and gives up on it when the stop is requested, whether or not it heeds cancellation.
    ///
    /// - Throws: What `work` throws; `Requested`, or `ServiceProcess.BackgroundFailure`.
    func unlessRequested<Value: Sendable>(
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await race(work) { [self] in
            await wait()
            return failure.map { ServiceProcess.BackgroundFailure(description: $0) } ?? Requested()
        }
    }
}
