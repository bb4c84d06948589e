import Synchronization

/// Hands the change history to gateways that wait for news (long poll).
///
/// A waiter is woken by the first change and then pauses for `coalescing`, so that a burst, such as all the joins after
/// a restart, reaches it in a few answers and not in thousands. `append` is called by the owner of the presence state
/// alone, in the order of the changes; nothing is called while the lock is held.
final class ChangeFeed: Sendable {
    /// The most changes in one answer.
    static let answerMax = 1000

    private struct State {
        var history: ChangeHistory
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        var isClosed = false
    }

    private struct Waiter {
        let deadline: Milliseconds
        let continuation: CheckedContinuation<Void, Never>
    }

    let epoch: String
    private let state: Mutex<State>
    private let waitersMax: Int
    private let pause: @Sendable () async -> Void

    /// - Parameters:
    ///   - history: Where the numbering begins.
    ///   - waitersMax: The most requests that wait at once; a further one is answered at once, with no news.
    ///   - pause: Lets the coalescing time pass.
    init(_ history: ChangeHistory, waitersMax: Int = 1000, pause: @escaping @Sendable () async -> Void) {
        epoch = history.epoch
        state = Mutex(State(history: history))
        self.waitersMax = waitersMax
        self.pause = pause
    }

    /// The number of the last change.
    var version: Int { state.withLock { $0.history.version } }

    /// How many requests are waiting.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// Numbers the news and wakes everyone who waits.
    func append(_ news: [PresenceNews]) {
        guard !news.isEmpty else { return }
        wake { state in
            state.history.append(news)
            return Array(state.waiters.keys)
        }
    }

    /// Answers what follows `after`; waits for it when there is nothing yet.
    ///
    /// - Parameters:
    ///   - epoch: The epoch that `after` is of.
    ///   - after: The last version that the caller has.
    ///   - deadline: Until when to wait, on the monotonic clock; `nil` for not at all.
    func changes(epoch: String, after: Int, until deadline: Milliseconds?) async -> ChangeHistory.Answer {
        let atOnce = answer(epoch: epoch, after: after)
        guard atOnce == .upToDate, let deadline else { return atOnce }
        await wait(epoch: epoch, after: after, deadline: deadline)
        guard answer(epoch: epoch, after: after) != .upToDate else { return .upToDate }
        await pause()
        return answer(epoch: epoch, after: after)
    }

    /// Answers those who have waited long enough.
    func expire(now: Milliseconds) {
        wake { state in state.waiters.filter { $0.value.deadline <= now }.map(\.key) }
    }

    /// Answers everyone; from here on nobody waits, so that a drain need not either.
    func close() {
        wake { state in
            state.isClosed = true
            return Array(state.waiters.keys)
        }
    }

    // MARK: -

    private func answer(epoch: String, after: Int) -> ChangeHistory.Answer {
        state.withLock { $0.history.answer(epoch: epoch, after: after, limit: Self.answerMax) }
    }

    private func wait(epoch: String, after: Int, deadline: Milliseconds) async {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let hasToWait = state.withLock { state in
                    // A change, the close or the cancellation may have come since the first look.
                    let news = state.history.answer(epoch: epoch, after: after, limit: 1) != .upToDate
                    guard !news, !state.isClosed, !Task.isCancelled, state.waiters.count < waitersMax else {
                        return false
                    }
                    state.waiters[number] = Waiter(deadline: deadline, continuation: continuation)
                    return true
                }
                if !hasToWait { continuation.resume() }
            }
        } onCancel: {
            wake { _ in [number] }
        }
    }

    private func wake(_ choose: (inout State) -> [Int]) {
        let woken = state.withLock { state in choose(&state).compactMap { state.waiters.removeValue(forKey: $0) } }
        for waiter in woken { waiter.continuation.resume() }
    }
}
