import Contracts
import Core
import Storage
import TestSupport
import Testing

@testable import GatewayService

@Suite("What reading costs in a long conversation and a large log")
struct LogDepthTests {
    private static let length = 100_000
    private static let pageLength = 50

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    enum Layout: CaseIterable { case tail, indexed, half }

    /// A conversation of 100,000 entries among others.
    private func bench(_ layout: Layout) throws -> LogBench {
        do {
            let bench = try LogBench(directory.path)
            try bench.run([Draft(conversationID: "c:before", sender: "before", clientID: "k"), Draft(addressee: nil)])
            try bench.run([Draft(conversationID: "c:after", sender: "after", clientID: "k")])
            let text = Draft(content: "?").text(messageID: "m").split(separator: "?")
            try bench.connection.run(
                """
                WITH RECURSIVE n(q) AS (SELECT 2 UNION ALL SELECT q + 1 FROM n WHERE q < ?)
                INSERT INTO log (i, c, q, h, b) SELECT q + 2, 2, q, 0, ? || q || ? FROM n
                """,
                Self.length,
                String(text[0]),
                String(text[1])
            )
        }
        if layout == .half {
            let connection = try LogFiles(directory: directory.path).openWriter()
            try connection.run("CREATE TABLE later AS SELECT * FROM log WHERE i > ?", Self.length / 2)
            try connection.run("DELETE FROM log WHERE i > ?", Self.length / 2)
            try LogBench(directory.path).indexer.runOnce()
            try connection.run("INSERT INTO log SELECT * FROM later")
        }
        let bench = try LogBench(directory.path)
        if layout == .indexed { try bench.indexer.runOnce() }
        return bench
    }

    /// SQLite's virtual machine's steps on the reader's connection.
    private func steps(_ bench: LogBench, _ body: () throws -> Void) throws -> Int {
        func total() throws -> Int { try bench.reader.connection.statistics().map(\.steps).reduce(0, +) }
        let before = try total()
        try body()
        return try total() - before
    }

    @Test("pages both ways without hole or repeat, the deepest at the first one's cost", arguments: Layout.allCases)
    func pages(layout: Layout) throws {
        let bench = try bench(layout)
        var costs: [Int] = []
        var found: [Int] = []
        func page(_ range: EntryRange) throws -> [Int] {
            var page = EntryPage()
            costs.append(
                try steps(bench) {
                    page = try bench.reader.read("c:u1", range, limit: Self.pageLength, bytesMax: 1 << 20)
                }
            )
            #expect(page.head == Self.length)
            if let last = page.entries.last {
                let content = StoredEntry.field("content", in: Array(page.bytes[last.text]))
                #expect(content == (last.sequence > 1 ? "\(last.sequence)" : "hello"))
            }
            return page.entries.map(\.sequence)
        }
        // The statements are prepared by the first read.
        _ = try page(.before(nil))
        costs = []
        while true {
            let page = try page(.before(found.last))
            if page.isEmpty { break }
            found += page.reversed()
        }
        #expect(found == (1...Self.length).reversed())
        #expect(costs.count == Self.length / Self.pageLength + 1)
        #expect(try #require(costs.dropLast().max()) <= 2 * costs[0])
        (costs, found) = ([], [])
        while true {
            let page = try page(.after(found.last ?? 0))
            if page.isEmpty { break }
            found += page
        }
        #expect(found == Array(1...Self.length))
        #expect(try #require(costs.dropLast().max()) <= 2 * costs[0])
    }

    @Test("no statement of the log's goes through a table")
    func plans() throws {
        let bench = try bench(.half)
        let message = Draft(addressee: nil, clientID: "k1", fileID: "f1")
        try bench.run([message, .recall(Self.length + 1), message, .system(.assigned(agentID: "a1"))])
        try bench.run([Draft(sender: "a1", addressee: "u1"), .system(.transferred(agentID: "a2"))])
        try bench.run([.system(.closed(asked: 3)), Draft(conversationID: "d:a1:a2", sender: "a1", addressee: "a2")])
        try bench.run(settling: try bench.outbox().map(\.number))
        try bench.move(.read, "a1", 5)
        // Read again, so that it is loaded.
        bench.entries.abandonCommit()
        try bench.run([Draft(addressee: nil, clientID: "k2")])
        try bench.reader.check()
        for user in ["u1", "a1"] {
            _ = try bench.reader.positions(of: user, naming: ["c:u1"])
            for scope in [ConversationQuery.Scope.own, .all] {
                for state in [nil] + RoutingState.allCases {
                    let query = ConversationQuery(
                        user: user,
                        userType: user == "a1" ? .agent : .customer,
                        scope: scope,
                        state: state,
                        limit: 10
                    )
                    _ = try bench.reader.conversations(query)
                }
            }
            _ = try bench.reader.conversation("c:u1", for: user)
        }
        _ = try bench.reader.members(of: "c:u1")
        _ = try bench.read("c:u1", .after(0), limit: 1)
        _ = try bench.read("c:u1", .before(5), limit: 1)
        for connection in [bench.connection, bench.reader.connection] {
            let statements = Set(try connection.statistics().map(\.sql))
            #expect(statements.count > 10)
            for sql in statements where sql.hasPrefix("SELECT") || sql.hasPrefix("UPDATE") || sql.hasPrefix("DELETE") {
                // The watermark is one row, and migrations are looked for when a file is opened.
                if sql.contains("watermark") || sql.contains("schema") { continue }
                let plan = try connection.queryPlan(sql)
                #expect(!plan.contains { $0.contains("SCAN") || $0.contains("TEMP B-TREE") }, "\(sql): \(plan)")
            }
        }
    }
}
