import Core
import Net
import Storage
import TestSupport
import Testing

@testable import GatewayService

@Suite("Log entries and reads, step by step")
struct LogReadTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func drafts(_ range: ClosedRange<Int>, _ conversationID: String) -> [Draft] {
        range.map { Draft(conversationID: conversationID, clientID: "k\($0)", content: "\(conversationID) \($0)") }
    }

    /// Where the entries of the conversation lie that the reads go over.
    enum Layout: CaseIterable {
        /// None indexed; all; the first half; half indexed and the rest in two generations; one that the index file
        /// has while the tail still shows it.
        case tail, indexed, half, generations, indexedAndInTail
    }

    private func bench(_ layout: Layout) throws -> LogBench {
        let bench = try LogBench(directory.path)
        for conversationID in ["c:before", "c:u1", "c:after"] {
            try bench.commit(drafts(1...4, conversationID))
            try bench.commit(drafts(5...6, conversationID))
        }
        if layout != .tail { try bench.indexer.runOnce() }
        if layout == .generations || layout == .indexedAndInTail {
            try bench.commit(drafts(7...8, "c:u1"))
            let (entries, _) = try #require(bench.tail.beginIndexing())
            if layout == .indexedAndInTail { try copyToIndex(entries) }
        }
        let rest = layout == .generations || layout == .indexedAndInTail ? 9...12 : 7...12
        try bench.commit(drafts(rest, "c:u1"))
        if layout == .indexed { try bench.indexer.runOnce() }
        return bench
    }

    /// The state between an index run's commit and its end.
    private func copyToIndex(_ entries: LogTail.Generation) throws {
        let index = try LogFiles(directory: directory.path).openIndexer()
        for (conversation, run) in entries {
            for (offset, row) in run.rows.enumerated() {
                let key = LogSchema.indexKey(conversation: conversation, sequence: run.first + offset)
                try index.run("INSERT INTO x (i, r, h) VALUES (?, ?, ?)", key, row, run.hashes[offset])
            }
        }
    }

    @Test("reads after and before every sequence, with every limit", arguments: Layout.allCases)
    func ranges(layout: Layout) throws {
        let bench = try bench(layout)
        let all = Array(1...12)
        for sequence in 0...14 {
            for limit in [1, 2, 5, 6, 7, 12, 13, 1000] {
                let after = try bench.read("c:u1", .after(sequence), limit: limit)
                #expect(after.sequences == Array(all.filter { $0 > sequence }.prefix(limit)))
                let before = try bench.read("c:u1", .before(sequence), limit: limit)
                #expect(before.sequences == Array(all.filter { $0 < sequence }.suffix(limit)))
                for page in [after, before] {
                    #expect(page.head == 12)
                    #expect(page.contents == page.sequences.map { "c:u1 \($0)" })
                }
            }
        }
        #expect(try bench.read("c:u1", .before(nil), limit: 5).sequences == [8, 9, 10, 11, 12])
        #expect(try bench.read("c:before", .after(0)).contents.last == "c:before 6")
        #expect(try bench.read("c:after", .before(nil), limit: 2).contents == ["c:after 5", "c:after 6"])
        #expect(try bench.read("c:none", .after(0)) == Page(EntryPage()))
        #expect(try bench.read("c:none", .before(nil)) == Page(EntryPage()))
    }

    @Test("bounds without sense bring nothing from elsewhere", arguments: [Layout.tail, .indexed])
    func extremes(layout: Layout) throws {
        let bench = try bench(layout)
        #expect(try bench.read("c:u1", .after(-5)).sequences == Array(1...12))
        #expect(try bench.read("c:u1", .after(.min), limit: .max).sequences == Array(1...12))
        #expect(try bench.read("c:u1", .after(.max), limit: .max).sequences == [])
        #expect(try bench.read("c:u1", .before(.min)).sequences == [])
        #expect(try bench.read("c:u1", .before(-1)).sequences == [])
        #expect(try bench.read("c:u1", .before(.max), limit: .max).sequences == Array(1...12))
        for limit in [0, -1, Int.min] {
            #expect(try bench.read("c:u1", .after(0), limit: limit).sequences == [])
            #expect(try bench.read("c:u1", .before(nil), limit: limit).sequences == [])
        }
    }

    @Test(
        "a page of so many bytes ends at the far end of its range, and has one entry at least",
        arguments: Layout.allCases
    )
    func bytesMax(layout: Layout) throws {
        let bench = try bench(layout)
        let page = try bench.reader.read("c:u1", .after(0), limit: 1000, bytesMax: 1 << 20)
        let lengths = page.entries.map(\.text.count)
        var total = 0
        for count in 1...12 {
            total += lengths[count - 1]
            let exactly = try bench.read("c:u1", .after(0), bytesMax: total)
            #expect(exactly.sequences == Array(1...count))
            let more = try bench.read("c:u1", .after(0), bytesMax: total + 1)
            #expect(more.sequences == Array(1...min(count + 1, 12)))
        }
        total = 0
        for count in 1...12 {
            total += lengths[12 - count]
            let exactly = try bench.read("c:u1", .before(nil), bytesMax: total)
            #expect(exactly.sequences == Array(13 - count...12))
            #expect(exactly.contents == exactly.sequences.map { "c:u1 \($0)" })
        }
        #expect(try bench.read("c:u1", .after(3), bytesMax: 1).sequences == [4])
        #expect(try bench.read("c:u1", .before(4), bytesMax: 1).sequences == [3])
        var paged: [Int] = []
        var before: Int?
        while true {
            let page = try bench.read("c:u1", .before(before), limit: 5, bytesMax: 600)
            guard let first = page.sequences.first else { break }
            paged = page.sequences + paged
            before = first
        }
        #expect(paged == Array(1...12))
    }

    @Test("a repeat is found wherever the entry lies", arguments: Layout.allCases)
    func repeats(layout: Layout) throws {
        var bench: LogBench? = try bench(layout)
        for isReopened in [false, true] {
            if isReopened {
                bench = nil
                bench = try LogBench(directory.path)
            }
            let again = drafts(1...12, "c:u1").map { draft in
                var changed = draft
                changed.content = "changed"
                return changed
            }
            let outcomes = try #require(try bench?.commit(again))
            #expect(outcomes == (1...12).map { .repeated($0, content: "c:u1 \($0)") })
            #expect(try bench?.read("c:u1", .after(0)).head == 12)
        }
    }

    @Test("positions have the head wherever it lies", arguments: Layout.allCases)
    func positions(layout: Layout) throws {
        let bench = try bench(layout)
        let expected = [("c:after", 6), ("c:before", 6), ("c:u1", 12)].map {
            MemberPosition(conversationID: $0.0, delivered: 0, head: $0.1, start: 0)
        }
        let positions = try bench.reader.positions(of: "a1", naming: []).sorted {
            $0.conversationID < $1.conversationID
        }
        #expect(positions == expected)
        #expect(try bench.reader.position(of: "a1", in: "c:u1") == expected[2])
        #expect(try bench.reader.position(of: "nobody", in: "c:u1") == nil)
        #expect(try bench.reader.position(of: "a1", in: "c:none") == nil)
    }

    @Test("keys with one hash are told apart by their entries", arguments: [true, false])
    func collisions(isIndexed: Bool) throws {
        // An entry of another key lies where this key's hash leads: no two texts are known that do it by themselves.
        try LogBench(directory.path).commit([Draft(clientID: "other", content: "another's")])
        let hash = LoadedConversation.hash(sender: "u1", clientID: "mine", attempt: 0)
        do {
            let files = LogFiles(directory: directory.path)
            try files.openWriter().run("UPDATE log SET h = ?", hash)
            if isIndexed { try LogBench(directory.path).indexer.runOnce() }
        }
        for _ in 0..<2 {
            let bench = try LogBench(directory.path)
            let first = try bench.commit([Draft(clientID: "mine", content: "mine")])
            #expect(first[0].sequence == 2)
            #expect(try bench.commit([Draft(clientID: "mine")]) == [.repeated(2, content: "mine")])
            if isIndexed { try bench.indexer.runOnce() }
        }
        #expect(LoadedConversation.hash(sender: "u1", clientID: "mine", attempt: 1) != hash)
        #expect(LoadedConversation.hash(sender: "u1m", clientID: "ine", attempt: 0) != hash)
    }

    @Test("a failed commit leaves nothing behind, and the next ones are dense")
    func failedCommit() throws {
        let bench = try LogBench(directory.path)
        try bench.commit(drafts(1...2, "c:u1"))
        let pages = try bench.connection.pragma("page_count")
        try bench.connection.setPragma("max_page_count", pages + 1)
        let large = Draft(conversationID: "c:new", clientID: "large", content: String(repeating: "x", count: 20_000))
        let error = #expect(throws: SQLiteError.self) { try bench.commit(drafts(3...4, "c:u1") + [large]) }
        #expect(error?.isFull == true)
        #expect(try bench.read("c:u1", .after(0)).sequences == [1, 2])
        #expect(try bench.read("c:new", .after(0)) == Page(EntryPage()))
        #expect(try bench.reader.positions(of: "u1", naming: []).count == 1)
        try bench.connection.setPragma("max_page_count", 1_000_000)
        #expect(try bench.commit(drafts(2...4, "c:u1") + [large, large]).map(\.sequence) == [2, 3, 4, 1, 1])
        try bench.indexer.runOnce()
        #expect(try bench.read("c:u1", .after(0)).sequences == [1, 2, 3, 4])
        #expect(try bench.read("c:new", .after(0)).sequences == [1])
    }

    @Test("a conversation takes as many entries as its sequences have bits, not more")
    func longest() throws {
        try LogBench(directory.path).commit([Draft(clientID: "k1")])
        try LogFiles(directory: directory.path).openWriter().run(
            "UPDATE log SET q = ?",
            Int64(LogSchema.sequenceMax - 1)
        )
        let bench = try LogBench(directory.path)
        let outcomes = try bench.commit([Draft(clientID: "k2"), Draft(clientID: "k3"), Draft(conversationID: "c:u2")])
        #expect(outcomes == [.appended(LogSchema.sequenceMax), .failed(.storageFull), .appended(1)])
        #expect(try bench.commit([Draft(clientID: "k2")])[0].sequence == LogSchema.sequenceMax)
        try bench.indexer.runOnce()
        #expect(try bench.read("c:u1", .before(nil), limit: 10).sequences.last == LogSchema.sequenceMax)
        #expect(try bench.read("c:u2", .after(0)).sequences == [1])
    }

    @Test("a repeat is found while an index run takes its entry over")
    func repeatsDuringRuns() async throws {
        let bench = try LogBench(directory.path)
        let indexer = Handover(bench.indexer)
        for number in 1...400 {
            let draft = Draft(clientID: "k\(number)")
            try bench.commit([draft])
            // Forgotten, so that the repeat has to look into the index and the tail.
            bench.entries.abandonCommit()
            let run = Task { try indexer.value.runOnce() }
            // The runner's other thread begins sooner or later: spread over what it does.
            for _ in 0..<number % 20 { _ = try bench.read("c:u1", .before(nil), limit: 1) }
            let outcomes = try bench.commit([draft])
            try await run.value
            #expect(outcomes == [.repeated(number, content: "hello")])
            guard outcomes == [.repeated(number, content: "hello")] else { return }
        }
    }

    @Test("random appends, index runs and restarts agree with a plain model")
    func simulation() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var bench = try LogBench(directory.path)
        var model: [String: [(key: String, content: String)]] = [:]
        for step in 0..<400 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0: try bench.indexer.runOnce()
            case 1: bench = try LogBench(directory.path)
            case 2: _ = bench.tail.beginIndexing()
            case 3, 4, 5:
                let name = "c:u\(Int.random(in: 0..<6, using: &random))"
                let texts = (model[name] ?? []).map(\.content)
                let bound = Int.random(in: 0...texts.count + 1, using: &random)
                let limit = Int.random(in: 1...8, using: &random)
                let after = try bench.read(name, .after(bound), limit: limit)
                #expect(after.contents == Array(texts.dropFirst(bound).prefix(limit)), "seed \(seed), step \(step)")
                let before = try bench.read(name, .before(bound), limit: limit)
                let earlier = Array(texts.prefix(max(bound - 1, 0)).suffix(limit))
                #expect(before.contents == earlier, "seed \(seed), step \(step)")
                #expect(after.head == texts.count)
            default:
                var expected: [Int] = []
                let drafts = (0..<Int.random(in: 1...6, using: &random)).map { index in
                    let name = "c:u\(Int.random(in: 0..<6, using: &random))"
                    let key = "k\(Int.random(in: 0..<60, using: &random))"
                    if let known = model[name]?.firstIndex(where: { $0.key == key }) {
                        expected.append(known + 1)
                    } else {
                        model[name, default: []].append((key, "\(step).\(index)"))
                        expected.append(model[name]?.count ?? 0)
                    }
                    return Draft(conversationID: name, clientID: key, content: "\(step).\(index)")
                }
                #expect(try bench.commit(drafts).map(\.sequence) == expected, "seed \(seed), step \(step)")
            }
        }
    }
}
