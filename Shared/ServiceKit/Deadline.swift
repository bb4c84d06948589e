import Synchronization

/// An operation did not end in time.
struct DeadlineExceeded: Error {}

/// Runs `operation` and gives up on it after `limit`, whether or not it heeds cancellation.
///
/// An operation given up on is cancelled and goes on by itself until it notices.
func withDeadline<Value: Sendable>(
    _ limit: Duration,
    _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await race(operation) {
        // Cut short, it is not the first any more.
        try? await Task.sleep(for: limit)
        return DeadlineExceeded()
    }
}

/// Runs `operation` and gives up on it when `end` returns, with that error, whether or not it heeds cancellation.
///
/// Whichever is last is cancelled and goes on by itself until it notices.
func race<Value: Sendable>(
    _ operation: @escaping @Sendable () async throws -> Value,
    until end: @escaping @Sendable () async -> any Error
) async throws -> Value {
    let race = Race<Value>()
    let work = Task { race.finish(await Result(catching: operation)) }
    let timer = Task { race.finish(.failure(await end())) }
    defer {
        work.cancel()
        timer.cancel()
    }
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { race.wait($0) }
    } onCancel: {
        race.finish(.failure(CancellationError()))
    }
}

/// The first result wins.
private final class Race<Value: Sendable>: Sendable {
    private struct State {
        var waiter: CheckedContinuation<Value, any Error>?
        var result: Result<Value, any Error>?
    }

    private let state = Mutex(State())

    func finish(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, any Error>? in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }

    func wait(_ continuation: CheckedContinuation<Value, any Error>) {
        let result = state.withLock { state -> Result<Value, any Error>? in
            if state.result == nil { state.waiter = continuation }
            return state.result
        }
        if let result { continuation.resume(with: result) }
    }
}

extension Result where Failure == any Error, Success: Sendable {
    fileprivate init(catching operation: @Sendable () async throws -> Success) async {
        do { self = .success(try await operation()) } catch { self = .failure(error) }
    }
}
