import Contracts
import Core
import TestSupport
import Testing

@testable import AuthService

@Suite("RevocationFeed")
struct RevocationFeedTests {
    private func ended(_ numbers: ClosedRange<Int>) -> [RevocationEntry] {
        numbers.map { RevocationEntry(number: $0, subject: .session(SessionHash(of: "s\($0)"), replacedBy: nil)) }
    }

    /// A feed whose waits end only by news, close or cancellation.
    private func feed(trimmedThrough: Int = 0) -> RevocationFeed {
        RevocationFeed(RevocationState(epoch: "e", trimmedThrough: trimmedThrough)) { _ in
            await untilCancelled()
        }
    }

    @Test("an unknown epoch, a trimmed number and one from the future are a reset to the newest")
    func resets() async {
        let feed = feed(trimmedThrough: 4)
        feed.append(ended(5...7))
        for (epoch, after) in [(nil, 0), ("x", 6), ("e", 3), ("e", 8)] as [(String?, Int)] {
            let page = await feed.page(epoch: epoch, after: after, waitMilliseconds: 1)
            #expect(page.reset && page.epoch == "e" && page.next == 7 && page.revocations.isEmpty)
        }
        let page = await feed.page(epoch: "e", after: 4, waitMilliseconds: 0)
        #expect(!page.reset && page.revocations.map(\.number) == [5, 6, 7] && page.next == 7)
    }

    @Test("pages are bounded and go on where the last one ended")
    func paging() async {
        let feed = feed()
        feed.append(ended(1...2500))
        var after = 0
        var numbers: [Int] = []
        for expected in [1000, 1000, 500] {
            let page = await feed.page(epoch: "e", after: after, waitMilliseconds: 0)
            #expect(page.revocations.count == expected)
            numbers += page.revocations.map(\.number)
            after = page.next
        }
        #expect(numbers == Array(1...2500))
    }

    @Test("what is appended again, or overlaps, is listed once")
    func overlaps() async {
        let feed = feed()
        feed.append(ended(1...3))
        feed.append(ended(2...5))
        feed.append(ended(1...5))
        let page = await feed.page(epoch: "e", after: 0, waitMilliseconds: 0)
        #expect(page.revocations.map(\.number) == [1, 2, 3, 4, 5])
    }

    @Test("is bounded: older ones are trimmed away, and who is behind them gets a reset")
    func bounded() async {
        let feed = feed()
        let count = RevocationFeed.heldMax * 2
        for start in stride(from: 1, through: count, by: 1000) { feed.append(ended(start...start + 999)) }
        #expect(await feed.page(epoch: "e", after: 0, waitMilliseconds: 0).reset)
        let recent = await feed.page(epoch: "e", after: count - RevocationFeed.heldMax, waitMilliseconds: 0)
        #expect(!recent.reset && recent.revocations.first?.number == count - RevocationFeed.heldMax + 1)
    }

    @Test("entries that were trimmed before they were read leave a hole, and who is before it gets a reset")
    func hole() async {
        let feed = feed()
        feed.append(ended(1...3))
        feed.append(ended(8...9))
        for after in [0, 3, 6] { #expect(await feed.page(epoch: "e", after: after, waitMilliseconds: 0).reset) }
        let page = await feed.page(epoch: "e", after: 7, waitMilliseconds: 0)
        #expect(!page.reset && page.revocations.map(\.number) == [8, 9])
    }

    @Test("more sessions that expire at once than the table lists are published all the same")
    func manyExpire() async throws {
        let auth = try await AuthFixture()
        let store = try await SQLiteAuthStore.open(directory: auth.directory.path, revocationsKept: 20)
        let sessions = try await SessionService.start(store: store, clock: auth.clock.authClock, log: AuthFixture.log)
        let count = 2 * SessionService.expiredPerSweepMax
        let all = (0..<count).map {
            SessionLimits().begin(SessionHash(of: "s\($0)"), userID: "test", now: auth.clock.now)
        }
        try await store.createSessions(all, sessionsPerUserMax: count, now: auth.clock.now)
        auth.clock.advance(8 * 86_400_000)
        try await sessions.sweep()
        let epoch = try await store.revocationState().epoch
        let page = await sessions.feed.page(epoch: epoch, after: 0, waitMilliseconds: 0)
        #expect(page.reset || page.revocations.map(\.number) == Array(1...RevocationFeed.pageMax))
        #expect(sessions.feed.newest == count)
    }

    @Test("a poll waits for news, and gets it")
    func waits() async throws {
        let feed = feed()
        async let page = feed.page(epoch: "e", after: 0, waitMilliseconds: 25_000)
        #expect(await eventually { feed.waiterCount == 1 })
        feed.append(ended(1...1))
        #expect(await page.revocations.map(\.number) == [1])
        #expect(feed.waiterCount == 0)
    }

    @Test("a poll whose wait ends, or whose caller goes, is answered empty and leaves nothing behind")
    func waitEnds() async throws {
        let short = RevocationFeed(RevocationState(epoch: "e", trimmedThrough: 0)) { _ in }
        let page = await short.page(epoch: "e", after: 0, waitMilliseconds: 25_000)
        #expect(!page.reset && page.revocations.isEmpty && page.next == 0)
        #expect(short.waiterCount == 0)

        let feed = feed()
        let poll = Task { await feed.page(epoch: "e", after: 0, waitMilliseconds: 25_000) }
        #expect(await eventually { feed.waiterCount == 1 })
        poll.cancel()
        #expect(await poll.value.revocations.isEmpty)
        #expect(feed.waiterCount == 0)
    }

    @Test("close answers every poll, and none waits afterwards")
    func close() async throws {
        let feed = feed()
        async let page = feed.page(epoch: "e", after: 0, waitMilliseconds: 25_000)
        #expect(await eventually { feed.waiterCount == 1 })
        feed.close()
        #expect(await page.revocations.isEmpty)
        #expect(await feed.page(epoch: "e", after: 0, waitMilliseconds: 25_000).revocations.isEmpty)
    }
}
