import Contracts
import Core
import Synchronization
import Testing

@testable import PresenceService

private func news(_ userIDs: [String]) -> [PresenceNews] {
    var table = PresenceTable(usersMax: 10_000)
    return userIDs.compactMap { userID in
        guard case .joined(let news) = table.attach(.customer(userID), to: 1, now: .start) else { return nil }
        return news
    }
}

extension ChangeHistory.Answer {
    fileprivate var versions: [Int]? {
        guard case .changes(let changes, _) = self else { return nil }
        return changes.map(\.version)
    }
}

extension ChangeFeed {
    /// What has changed, for one who follows nothing else.
    fileprivate func changes(epoch: String, after: Int, until deadline: Milliseconds?) async -> ChangeHistory.Answer {
        await answer(Question(epoch: epoch, after: after), until: deadline).changes
    }
}

@Suite("Change history")
struct ChangeHistoryTests {
    private var history = ChangeHistory(epoch: "e", changesMax: 3)

    @Test("versions are dense from 1 and read from any kept point on")
    mutating func dense() {
        #expect(history.answer(epoch: "e", after: 0, limit: 9) == .upToDate)
        history.append(news(["u1", "u2"]))
        #expect(history.answer(epoch: "e", after: 0, limit: 9).versions == [1, 2])
        #expect(history.answer(epoch: "e", after: 1, limit: 9).versions == [2])
        #expect(history.answer(epoch: "e", after: 2, limit: 9) == .upToDate)
        #expect(history.answer(epoch: "e", after: 0, limit: 1).versions == [1])
    }

    @Test("at its bound it forgets the oldest, and who needs that gets a reset")
    mutating func bound() {
        history.append(news(["u1", "u2", "u3"]))
        #expect(history.answer(epoch: "e", after: 0, limit: 9).versions == [1, 2, 3])
        history.append(news(["u4", "u5"]))
        #expect(history.count == 3)
        #expect(history.answer(epoch: "e", after: 2, limit: 9).versions == [3, 4, 5])
        #expect(history.answer(epoch: "e", after: 1, limit: 9) == .reset(next: 5))
        guard case .changes(let changes, _) = history.answer(epoch: "e", after: 3, limit: 9) else {
            Issue.record("expected changes")
            return
        }
        #expect(changes.map(\.news.identity.userID) == ["u4", "u5"])
    }

    @Test("another epoch, no epoch and a version to come get a reset")
    mutating func reset() {
        history.append(news(["u1"]))
        for epoch in ["f", ""] { #expect(history.answer(epoch: epoch, after: 1, limit: 9) == .reset(next: 1)) }
        #expect(history.answer(epoch: "e", after: 2, limit: 9) == .reset(next: 1))
        #expect(history.answer(epoch: "e", after: -1, limit: 9) == .reset(next: 1))
    }
}

@Suite("Change feed (long poll)")
struct ChangeFeedTests {
    private let feed = ChangeFeed(ChangeHistory(epoch: "e", changesMax: 100), waitersMax: 3, now: { 0 }) {}

    private func untilWaiting(_ count: Int) async {
        while feed.waiting != count { await Task.yield() }
    }

    @Test("every waiter is woken by one change", .timeLimit(.minutes(5)))
    func wake() async {
        async let first = feed.changes(epoch: "e", after: 0, until: .max)
        async let second = feed.changes(epoch: "e", after: 0, until: .max)
        await untilWaiting(2)
        feed.append(news(["u1"]))
        #expect(await first.versions == [1])
        #expect(await second.versions == [1])
        #expect(feed.waiting == 0)
    }

    @Test("a waiter is answered empty at its deadline, not before", .timeLimit(.minutes(5)))
    func deadline() async {
        async let answer = feed.changes(epoch: "e", after: 0, until: 500)
        await untilWaiting(1)
        feed.expire(now: 499)
        #expect(feed.waiting == 1)
        feed.expire(now: 500)
        #expect(await answer == .upToDate)
    }

    @Test(
        "without a wait, past the limit of waiters and after the close the answer comes at once",
        .timeLimit(.minutes(5))
    )
    func atOnce() async {
        #expect(await feed.changes(epoch: "e", after: 0, until: nil) == .upToDate)
        await withTaskGroup(of: ChangeHistory.Answer.self) { group in
            for _ in 0..<3 { group.addTask { await feed.changes(epoch: "e", after: 0, until: .max) } }
            await untilWaiting(3)
            #expect(await feed.changes(epoch: "e", after: 0, until: .max) == .upToDate)
            feed.close()
            for await answer in group { #expect(answer == .upToDate) }
        }
        #expect(await feed.changes(epoch: "e", after: 0, until: .max) == .upToDate)
        #expect(await feed.changes(epoch: "x", after: 0, until: .max) == .reset(next: 0))
    }

    @Test("a cancelled request gives its place up", .timeLimit(.minutes(5)))
    func cancellation() async {
        let task = Task { await feed.changes(epoch: "e", after: 0, until: .max) }
        await untilWaiting(1)
        task.cancel()
        #expect(await task.value == .upToDate)
        #expect(feed.waiting == 0)
    }

    @Test("what comes while a waiter pauses is in the same answer", .timeLimit(.minutes(5)))
    func coalescing() async {
        let inPause = Mutex<CheckedContinuation<Void, Never>?>(nil)
        let feed = ChangeFeed(ChangeHistory(epoch: "e", changesMax: 100), now: { 0 }) {
            await withCheckedContinuation { continuation in inPause.withLock { $0 = continuation } }
        }
        async let answer = feed.changes(epoch: "e", after: 0, until: .max)
        while feed.waiting != 1 { await Task.yield() }
        feed.append(news(["u1"]))
        while inPause.withLock({ $0 == nil }) { await Task.yield() }
        feed.append(news(["u2", "u3"]))
        inPause.withLock { $0 }?.resume()
        #expect(await answer.versions == [1, 2, 3])
    }
}
