import Contracts
import Core
import Synchronization

/// The ended sessions and changed accounts that other services poll for, in the order of their commits, out of memory.
///
/// Only `append` adds, and takes what the store listed, in its order; a commit is never published before another that
/// has a smaller number.
final class RevocationFeed: Sendable {
    /// Entries held; who asks for older ones verifies everything again.
    static let heldMax = SQLiteAuthStore.revocationsKeptDefault
    /// Entries in one answer.
    static let pageMax = 1000
    /// Polls that may wait at once; one more is answered as if its wait were over.
    static let waitersMax = 1024
    /// The longest wait of one poll, in milliseconds.
    static let waitMillisecondsMax: Int64 = 25_000

    private struct State {
        let epoch: String
        var trimmedThrough: Int
        var held: [RevocationEntry] = []
        var newest: Int
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
        var isClosed = false

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            defer { waiters = [:] }
            return Array(waiters.values)
        }
    }

    private let state: Mutex<State>
    private let sleep: @Sendable (_ milliseconds: Int64) async throws -> Void

    /// - Parameters:
    ///   - start: The store's feed; what it has listed so far is then given to `append`.
    ///   - sleep: Waits, and ends early when its task is cancelled.
    init(_ start: RevocationState, sleep: @escaping @Sendable (_ milliseconds: Int64) async throws -> Void) {
        state = Mutex(State(epoch: start.epoch, trimmedThrough: start.trimmedThrough, newest: start.trimmedThrough))
        self.sleep = sleep
    }

    /// The newest number published.
    var newest: Int { state.withLock { $0.newest } }

    /// Polls that wait now.
    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Publishes entries, ascending; those known already are passed over.
    ///
    /// Numbers have no holes: one before the first of them means that what is missing was trimmed before it was read,
    /// and who has not got past it verifies everything again.
    func append(_ entries: [RevocationEntry]) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            let fresh = entries.drop { $0.number <= state.newest }
            guard let first = fresh.first, let last = fresh.last else { return [] }
            if first.number > state.newest + 1 {
                state.held = []
                state.trimmedThrough = first.number - 1
            }
            state.held += fresh
            state.newest = last.number
            // A quarter at once, so that the array is not moved for every single one.
            if state.held.count > Self.heldMax + Self.heldMax / 4 {
                state.held.removeFirst(state.held.count - Self.heldMax)
                state.trimmedThrough = (state.held.first?.number ?? 1) - 1
            }
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Answers every poll that waits, and lets none wait from now on.
    func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// What ended after `number`, waiting for it up to `waitMilliseconds`.
    ///
    /// - Parameters:
    ///   - epoch: The epoch that `number` is of; `nil` for a first call.
    ///   - number: The last one that the caller has.
    ///   - waitMilliseconds: 0…`waitMillisecondsMax`.
    /// - Returns: At once when there is news, or a reset is due.
    func page(epoch: String?, after number: Int, waitMilliseconds: Int64) async -> RevocationPage {
        if let page = page(epoch, number) { return page }
        if waitMilliseconds > 0 {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await self.sleep(waitMilliseconds) }
                group.addTask { await self.news(after: number) }
                await group.next()
                group.cancelAll()
            }
        }
        return page(epoch, number) ?? RevocationPage(epoch: epoch ?? "", next: number, reset: false)
    }

    /// The answer as far as it needs no waiting.
    private func page(_ epoch: String?, _ number: Int) -> RevocationPage? {
        state.withLock { state in
            guard epoch == state.epoch, number >= state.trimmedThrough, number <= state.newest else {
                return RevocationPage(epoch: state.epoch, next: state.newest, reset: true)
            }
            guard number < state.newest else { return nil }
            let start = state.held.firstIndexPast(number)
            let entries = state.held[start...].prefix(Self.pageMax)
            var page = RevocationPage(epoch: state.epoch, next: entries.last?.number ?? number, reset: false)
            for entry in entries {
                switch entry.subject {
                case .session(let hash, let successor):
                    page.revocations.append(
                        Revocation(number: entry.number, sessionHash: hash.wire, replacedBy: successor?.wire)
                    )
                case .user(let userID): page.changedUsers.append(userID)
                }
            }
            return page
        }
    }

    /// Returns when something is published after `number`, on `close()`, or when the task is cancelled.
    private func news(after number: Int) async {
        let ticket = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let waits = state.withLock { state in
                    let isOver = state.isClosed || state.newest > number || state.waiters.count >= Self.waitersMax
                    // Looked at under the lock: the handler of a cancellation before this has found no waiter.
                    guard !isOver, !Task.isCancelled else { return false }
                    state.waiters[ticket] = continuation
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
        }
    }
}

extension [RevocationEntry] {
    /// The index of the first one with a greater number, by bisection.
    fileprivate func firstIndexPast(_ number: Int) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if self[middle].number > number { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
