import Contracts
import Testing

@testable import GatewayService

extension HintQueue.Head {
    init(_ conversationID: String, _ userID: String, _ head: Int) {
        self.init(conversationID: conversationID, userID: userID, head: head)
    }
}

/// Gateways as presence names them.
func peers(_ registrations: [String: Int]) -> [String: PeerList.Peer] {
    Dictionary(
        registrations.map { ($0.key, .init(gatewayID: $0.key, url: "http://\($0.key):1", registration: $0.value)) }
    ) { first, _ in first }
}

@Suite("Hint queue (R5)")
struct HintQueueTests {
    private func queue(conversationsMax: Int = 10) -> HintQueue {
        var queue = HintQueue(conversationsMax: conversationsMax)
        _ = queue.update(peers(["b": 1]), askedAt: 0)
        return queue
    }

    private func request(_ queue: inout HintQueue, _ now: Int64) throws -> HintQueue.Request {
        let requests = queue.next(now: now)
        return try #require(requests.first)
    }

    private func told(_ request: HintQueue.Request?) -> [String] {
        (request?.hints.entries ?? []).flatMap { hint in
            hint.userIDs.map { "\(hint.conversationID) \($0) \(hint.head)" }
        }.sorted()
    }

    @Test("of each conversation and member the newest head is told, in one request")
    func merges() throws {
        var queue = queue()
        for head in [3, 5, 4] { queue.add("c:1", head, ["u1"], for: "b", now: 0) }
        queue.add("c:2", 1, ["u2"], for: "b", now: 0)
        let request = try self.request(&queue, 0)
        #expect(told(request) == ["c:1 u1 5", "c:2 u2 1"])
        #expect(request.peer.url == "http://b:1")
        queue.taken(request)
        #expect(queue.isIdle)
        #expect(queue.next(now: 0).isEmpty)
    }

    @Test("a member whose membership has ended is sent no more than that")
    func membersApart() {
        var queue = queue()
        queue.add("c:1", 4, ["a1"], for: "b", now: 0)
        queue.add("c:1", 4, ["u1"], for: "b", now: 0)
        queue.add("c:1", 5, ["u1"], for: "b", now: 0)
        #expect(told(queue.next(now: 0).first) == ["c:1 a1 4", "c:1 u1 5"])
    }

    @Test("one request is under way; what comes meanwhile follows, what failed is sent again with it")
    func retries() throws {
        var queue = queue()
        queue.add("c:1", 1, ["u1"], for: "b", now: 0)
        let first = try request(&queue, 0)
        queue.add("c:1", 2, ["u1"], for: "b", now: 0)
        queue.add("c:2", 7, ["u1"], for: "b", now: 0)
        #expect(queue.next(now: 0).isEmpty)
        queue.failed(first, now: 100)
        #expect(queue.next(now: 149).isEmpty)
        let second = try self.request(&queue, 150)
        #expect(told(second) == ["c:1 u1 2", "c:2 u1 7"])
        queue.failed(second, now: 200)
        #expect(queue.next(now: 299).isEmpty)
        // However often: no longer than a second.
        var now: Int64 = 1000
        for _ in 0..<100 {
            let request = try self.request(&queue, now)
            queue.failed(request, now: now)
            now += 1000
        }
        let last = try request(&queue, now)
        queue.taken(last)
        #expect(queue.isIdle)
    }

    @Test("until the registration has ended, and not for the next one")
    func ended() throws {
        var queue = queue()
        queue.add("c:1", 1, ["u1"], for: "b", now: 0)
        let request = try self.request(&queue, 0)
        queue.add("c:2", 2, ["u2"], for: "b", now: 0)
        #expect(queue.update(peers(["b": 1, "c": 2]), askedAt: 10).isEmpty)
        let left = queue.update(peers(["b": 3, "c": 2]), askedAt: 20)
        #expect(Set(left.map { "\($0.conversationID) \($0.userID) \($0.head)" }) == ["c:1 u1 1", "c:2 u2 2"])
        queue.failed(request, now: 30)
        #expect(queue.isIdle)
        queue.add("c:3", 3, ["u3"], for: "b", now: 30)
        let next = queue.next(now: 30)
        #expect(next.map(\.peer.registration) == [3])
        #expect(queue.update(peers([:]), askedAt: 40).count == 1)
    }

    @Test("a gateway that presence has placed somebody at, but not named yet, is waited for")
    func unnamed() {
        var queue = queue()
        queue.add("c:1", 1, ["u1"], for: "new", now: 50)
        #expect(queue.next(now: 50).isEmpty)
        // Asked before: it need not have been registered.
        #expect(queue.update(peers(["b": 1]), askedAt: 50).isEmpty)
        #expect(queue.update(peers(["b": 1, "new": 9]), askedAt: 60).isEmpty)
        #expect(queue.next(now: 60).map(\.peer.gatewayID) == ["new"])
        queue.add("c:1", 1, ["u1"], for: "gone", now: 70)
        #expect(queue.update(peers(["b": 1, "new": 9]), askedAt: 80) == [.init("c:1", "u1", 1)])
    }

    @Test("over the bound it is told to read everything, which is kept until it is taken")
    func overrun() throws {
        var queue = queue(conversationsMax: 3)
        for number in 0..<4 { queue.add("c:\(number)", 1, ["u1"], for: "b", now: 0) }
        #expect(queue.pendingCount == 0)
        queue.add("c:9", 2, ["u1"], for: "b", now: 0)
        let request = try self.request(&queue, 0)
        #expect(request.hints.readAll)
        #expect(told(request) == ["c:9 u1 2"])
        queue.failed(request, now: 0)
        let again = try self.request(&queue, 1000)
        #expect(again.hints.readAll)
        #expect(told(again) == ["c:9 u1 2"])
        queue.taken(again)
        queue.add("c:9", 3, ["u1"], for: "b", now: 2000)
        #expect(queue.next(now: 2000).first?.hints.readAll == false)
    }

    @Test("a request holds no more than the contract allows")
    func requestSize() {
        var queue = HintQueue()
        _ = queue.update(peers(["b": 1]), askedAt: 0)
        for number in 0..<2500 { queue.add("c:\(number)", 1, ["u"], for: "b", now: 0) }
        var sizes: [Int] = []
        while let request = queue.next(now: 0).first {
            sizes.append(request.hints.entries.count)
            queue.taken(request)
        }
        #expect(sizes == [1000, 1000, 500])
        for number in 0..<2 {
            for user in 0..<3000 { queue.add("c:\(number)", 1, ["u\(user)"], for: "b", now: 0) }
        }
        #expect(queue.next(now: 0).first?.hints.entries.map(\.userIDs.count) == [3000])
    }

    // MARK: - Texts

    private func add(_ queue: inout HintQueue, _ head: HintQueue.Head, _ text: String?) {
        let bytes = text.map { Array($0.utf8) }
        if let bytes {
            bytes.withUnsafeBytes {
                queue.add(head.conversationID, head.head, [head.userID], text: $0, for: "b", now: 0)
            }
        } else {
            queue.add(head.conversationID, head.head, [head.userID], for: "b", now: 0)
        }
    }

    private func texts(_ hint: DeliveryHint?) -> [String] {
        (hint?.texts ?? []).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("the texts of the last entries go along, each member's up to theirs")
    func texts() throws {
        var queue = queue()
        add(&queue, .init("c:1", "a1", 4), "four")
        add(&queue, .init("c:1", "u1", 4), "four")
        add(&queue, .init("c:1", "u1", 5), "five")
        let hints = try request(&queue, 0).hints.entries.sorted { $0.head < $1.head }
        #expect(hints.map(\.userIDs) == [["a1"], ["u1"]])
        #expect(texts(hints.first) == ["four"])
        #expect(texts(hints.last) == ["four", "five"])
        #expect(hints.map(\.firstSequence) == [4, 4])
    }

    @Test("each run without a gap is a hint of its own; what was not taken is told again without texts")
    func gaps() throws {
        var queue = queue()
        for (head, text) in [(4, "four"), (6, "six"), (7, "seven")] { add(&queue, .init("c:1", "u1", head), text) }
        add(&queue, .init("c:2", "u1", 1), "one")
        add(&queue, .init("c:2", "u1", 2), nil)
        add(&queue, .init("c:3", "u1", 9), nil)
        add(&queue, .init("c:3", "u1", 8), "late")
        add(&queue, .init("c:3", "u1", 10), "ten")
        let first = try request(&queue, 0)
        let byName = Dictionary(grouping: first.hints.entries, by: \.conversationID)
        #expect(byName["c:1"]?.map(\.head) == [4, 7])
        #expect(byName["c:1"]?.map(texts) == [["four"], ["six", "seven"]])
        #expect(byName["c:2"]?.map(texts) == [[]])
        #expect(byName["c:3"]?.map(texts) == [["ten"]])
        queue.failed(first, now: 0)
        let second = try request(&queue, 1000)
        #expect(told(second) == ["c:1 u1 7", "c:2 u1 2", "c:3 u1 10"])
        #expect(second.hints.entries.allSatisfy { $0.texts.isEmpty })
    }

    @Test("of many runs the newest go along, and to each member those of their part")
    func runs() throws {
        var queue = queue()
        for run in 0...EntryRuns.runsMax { add(&queue, .init("c:1", "u1", 10 * run + 1), "\(run)") }
        #expect(try request(&queue, 0).hints.entries.map(texts) == [["\(EntryRuns.runsMax)"]])
        var runs = EntryRuns()
        let text = Array("x".utf8)
        for sequence in [2, 3, 5, 6, 7] { text.withUnsafeBytes { runs.add(sequence, $0) } }
        let found = (1...8).map { head in runs.runs(upTo: head).map { "\($0.first)-\($0.last)" } }
        #expect(
            found == [["2-1"], ["2-2"], ["2-3"], ["2-3", "5-4"], ["2-3", "5-5"], ["2-3", "5-6"], ["2-3", "5-7"]]
                + [["2-3", "5-7", "9-8"]]
        )
    }

    @Test("many entries, or large ones, go without texts, and a request takes no more of them than it may")
    func textBounds() throws {
        var queue = HintQueue()
        _ = queue.update(peers(["b": 1]), askedAt: 0)
        for head in 1...EntryRuns.entriesMax + 1 { add(&queue, .init("c:1", "u1", head), "x") }
        let many = try request(&queue, 0)
        #expect(texts(many.hints.entries.first) == ["x"])
        _ = queue.update(peers(["b": 2]), askedAt: 1)
        let half = String(repeating: "x", count: EntryRuns.bytesMax / 2 + 1)
        for head in 1...2 { add(&queue, .init("c:1", "u1", head), half) }
        let large = try request(&queue, 1)
        #expect(large.hints.entries.map(\.head) == [2])
        #expect(texts(large.hints.entries.first) == [])
        queue.taken(large)
        let count = HintQueue.textBytesMax / half.utf8.count + 10
        for number in 0..<count { add(&queue, .init("c:\(number)", "u1", 1), half) }
        var told = 0
        var textCount = 0
        while let next = queue.next(now: 2).first {
            let entries = next.hints.entries
            let bytes = entries.reduce(0) { $0 + $1.textByteCount }
            #expect(bytes < HintQueue.textBytesPerRequest + EntryRuns.bytesMax)
            told += entries.count
            textCount += entries.count { !$0.texts.isEmpty }
            queue.taken(next)
        }
        #expect(told == count)
        #expect(textCount == HintQueue.textBytesMax / half.utf8.count)
    }
}

@Suite("Frames of the moment for other gateways")
struct NoticeQueueTests {
    @Test("one request at a time, of what gathered; too many are dropped, and what fails")
    func bounds() throws {
        var queue = NoticeQueue()
        queue.add("x", to: "u1", at: "b")
        queue.add("x", to: "u2", at: "b")
        queue.add("y", to: "u1", at: "gone")
        let requests = queue.next(peers(["b": 1]))
        let request = try #require(requests.first)
        #expect(request.notifications.notices == [Notification(userIDs: ["u1", "u2"], frame: "x")])
        #expect(queue.takeDropped() == 1)
        for number in 0...NoticeQueue.noticesMax { queue.add("z\(number)", to: "u1", at: "b") }
        #expect(queue.next(peers(["b": 1])).isEmpty)
        #expect(queue.takeDropped() == 1)
        queue.ended(request, isTaken: false)
        #expect(queue.takeDropped() == 1)
        #expect(queue.next(peers(["b": 1])).first?.notifications.notices.count == NoticeQueue.noticesMax)
    }
}
