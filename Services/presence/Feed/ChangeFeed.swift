import Contracts
import Synchronization

/// Hands what is new to gateways that wait for it (long poll): the change history, routing decisions to be logged, and
/// the queue.
///
/// A waiter is woken by the first news and then pauses for `coalescing`, so that a burst, such as all the joins after
/// a restart, reaches it in a few answers and not in thousands. `append` is called by the owner of the presence state
/// alone, in the order of the changes; nothing is called while the lock is held.
final class ChangeFeed: Sendable {
    /// The most changes in one answer.
    static let answerMax = 1000
    /// The most decisions in one answer.
    static let decisionsMax = 500

    /// What a gateway has, and so what would be news to it.
    struct Question: Sendable {
        /// The epoch that the versions are of.
        let epoch: String
        /// The last version that the asker has.
        let after: Int
        /// The version of the queue that the asker has; `nil` for one who does not follow it.
        var queue: Int?
    }

    /// What is new to an asker.
    struct Answer: Sendable, Equatable {
        let changes: ChangeHistory.Answer
        /// The decisions offered to this asker.
        let decisions: [RoutingDecision]
        /// The queue, if it is another one than the asker's.
        let queue: WaitingQueue?

        var isNews: Bool { changes != .upToDate || !decisions.isEmpty || queue != nil }
    }

    private struct State {
        var history: ChangeHistory
        var offers = DecisionOffers()
        var queue: WaitingQueue?
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        var isClosed = false

        func queue(for question: Question) -> WaitingQueue? {
            guard let queue, let known = question.queue else { return nil }
            return question.epoch == history.epoch && known == queue.version ? nil : queue
        }

        func hasNews(for question: Question, now: Milliseconds) -> Bool {
            history.answer(epoch: question.epoch, after: question.after, limit: 1) != .upToDate
                || offers.isDue(now: now) || queue(for: question) != nil
        }
    }

    private struct Waiter {
        let question: Question
        let deadline: Milliseconds
        /// Told whether there may be news; without, the wait is over.
        let continuation: CheckedContinuation<Bool, Never>
    }

    let epoch: String
    private let state: Mutex<State>
    private let waitersMax: Int
    private let now: @Sendable () -> Milliseconds
    private let pause: @Sendable () async -> Void

    /// - Parameters:
    ///   - history: Where the numbering begins.
    ///   - waitersMax: The most requests that wait at once; a further one is answered at once, with no news.
    ///   - now: The monotonic clock.
    ///   - pause: Lets the coalescing time pass.
    init(
        _ history: ChangeHistory,
        waitersMax: Int = 1000,
        now: @escaping @Sendable () -> Milliseconds,
        pause: @escaping @Sendable () async -> Void
    ) {
        epoch = history.epoch
        state = Mutex(State(history: history))
        self.waitersMax = waitersMax
        self.now = now
        self.pause = pause
    }

    /// The number of the last change.
    var version: Int { state.withLock { $0.history.version } }

    /// How many requests are waiting.
    var waiting: Int { state.withLock { $0.waiters.count } }

    /// How many decisions are not known to be in the log.
    var pendingDecisions: Int { state.withLock { $0.offers.count } }

    // MARK: - News

    /// Numbers the news and wakes everyone who waits.
    func append(_ news: [PresenceNews]) {
        guard !news.isEmpty else { return }
        wake(hasNews: true) { state in
            state.history.append(news)
            return Array(state.waiters.keys)
        }
    }

    /// Offers decisions, each from its time on, and offers those no more that are logged.
    func offer(_ decisions: [(decision: RoutingDecision, dueAt: Milliseconds)], withdrawing logged: [String] = []) {
        guard !decisions.isEmpty || !logged.isEmpty else { return }
        let now = now()
        wake(hasNews: true) { state in
            for (decision, dueAt) in decisions { state.offers.add(decision, dueAt: dueAt) }
            for decisionID in logged { state.offers.remove(decisionID) }
            return decisions.contains { $0.dueAt <= now } ? Array(state.waiters.keys) : []
        }
    }

    /// Offers these decisions, at once, and no others.
    func replaceOffers(_ decisions: [RoutingDecision]) {
        let now = now()
        wake(hasNews: true) { state in
            state.offers = DecisionOffers()
            for decision in decisions { state.offers.add(decision, dueAt: now) }
            return decisions.isEmpty ? [] : Array(state.waiters.keys)
        }
    }

    /// Shows the queue as it is now to whoever has another version.
    func show(_ queue: WaitingQueue) {
        wake(hasNews: true) { state in
            state.queue = queue
            return state.waiters.filter { state.queue(for: $0.value.question) != nil }.map(\.key)
        }
    }

    // MARK: - Asking

    /// Answers what is new to the asker; waits for it when there is nothing yet.
    ///
    /// - Parameters:
    ///   - question: What the asker has.
    ///   - deadline: Until when to wait, on the monotonic clock; `nil` for not at all.
    func answer(_ question: Question, until deadline: Milliseconds?) async -> Answer {
        guard !hasNews(for: question), let deadline else { return take(question) }
        // A decision may have been offered to somebody else first, also during the pause, and then there is nothing.
        while await wait(question, deadline: deadline) {
            guard hasNews(for: question) else { continue }
            await pause()
            let answer = take(question)
            if answer.isNews { return answer }
        }
        return take(question)
    }

    /// Answers those who have waited long enough, and wakes everyone for decisions that are to be offered again.
    func expire(now: Milliseconds) {
        wake(hasNews: false) { state in state.waiters.filter { $0.value.deadline <= now }.map(\.key) }
        wake(hasNews: true) { state in state.offers.isDue(now: now) ? Array(state.waiters.keys) : [] }
    }

    /// Answers everyone; from here on nobody waits, so that a drain need not either.
    func close() {
        wake(hasNews: false) { state in
            state.isClosed = true
            return Array(state.waiters.keys)
        }
    }

    // MARK: -

    private func hasNews(for question: Question) -> Bool {
        let now = now()
        return state.withLock { $0.hasNews(for: question, now: now) }
    }

    private func take(_ question: Question) -> Answer {
        let now = now()
        return state.withLock { state in
            Answer(
                changes: state.history.answer(epoch: question.epoch, after: question.after, limit: Self.answerMax),
                decisions: state.offers.take(now: now, limit: Self.decisionsMax),
                queue: state.queue(for: question)
            )
        }
    }

    private func wait(_ question: Question, deadline: Milliseconds) async -> Bool {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = now()
                let outcome: Bool? = state.withLock { state in
                    // News, the close or the cancellation may have come since the last look.
                    if state.hasNews(for: question, now: now) { return true }
                    guard !state.isClosed, !Task.isCancelled, state.waiters.count < waitersMax else { return false }
                    state.waiters[number] = Waiter(question: question, deadline: deadline, continuation: continuation)
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            wake(hasNews: false) { _ in [number] }
        }
    }

    private func wake(hasNews: Bool, _ choose: (inout State) -> [Int]) {
        let woken = state.withLock { state in choose(&state).compactMap { state.waiters.removeValue(forKey: $0) } }
        for waiter in woken { waiter.continuation.resume(returning: hasNews) }
    }
}
