import Core
import Net
import Storage
import Synchronization
import TestSupport
import Testing

@testable import GatewayService

@Suite("Commits of the log, one at a time")
struct LogCommitTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// A committer without its thread, and what it has told.
    private final class Parts {
        let files: LogFiles
        let connection: Connection
        let tail: LogTail
        let indexer: LogIndexer
        let committer: LogCommitter
        let reader: LogReader
        private let told: Told

        /// Words for the committer's calls.
        private final class Told: Sendable {
            private let words = Mutex<[String]>([])

            func add(_ word: String) { words.withLock { $0.append(word) } }

            func take() -> [String] {
                words.withLock { words in
                    defer { words = [] }
                    return words
                }
            }
        }

        init(_ directory: String, itemsMax: Int = 1000) throws {
            files = LogFiles(directory: directory)
            connection = try files.openWriter()
            tail = LogTail(itemsMax: itemsMax)
            let log = Log(service: "test", level: .error, descriptor: -1)
            indexer = try LogIndexer(files: files, tail: tail, log: log)
            let told = Told()
            committer = try LogCommitter(
                connection: connection,
                index: files.openIndexReader(),
                tail: tail,
                indexer: indexer,
                log: log,
                committed: { batches in told.add("committed \(batches.value.count)") },
                moved: { moves in told.add("moved \(moves.count)") }
            )
            reader = try LogReader(files: files, tail: tail)
            self.told = told
        }

        func takeTold() -> [String] { told.take() }

        /// One commit of a batch for each list.
        func commit(
            _ drafts: [[Draft]],
            settled: Set<Int64> = [],
            receipts: [Membership: GatheredReceipt] = [:]
        ) -> [AppendBatch] {
            let batches = drafts.map { AppendBatch($0) }
            committer.commit(CommitWork(batches: batches, receipts: receipts, settled: settled))
            return batches
        }

        func outbox() throws -> [OutboxItem] { try reader.outbox(after: 0, limit: 100) }
    }

    private func outcomes(_ batches: [AppendBatch]) -> [[Outcome]] {
        batches.map { $0.appends.map { Outcome($0.outcome) } }
    }

    private let receipt = [Membership(user: "u1", conversationID: "c:u1"): GatheredReceipt(delivered: 1, read: 1)]

    @Test("a repeat of an entry shares the fate of that entry's commit")
    func sharedFate() throws {
        let parts = try Parts(directory.path)
        let first = Draft(addressee: nil, clientID: "k1", content: "first")
        let again = Draft(addressee: nil, clientID: "k1", content: "again")
        let large = Draft(content: String(repeating: "x", count: 20_000))
        try parts.connection.setPragma("max_page_count", try parts.connection.pragma("page_count") + 1)
        let failed = parts.commit([[first], [again], [large]], receipts: receipt)
        #expect(outcomes(failed) == [[.failed(.storageFull)], [.failed(.storageFull)], [.failed(.storageFull)]])
        #expect(failed.allSatisfy { $0.due.isEmpty })
        #expect(parts.takeTold() == ["committed 3"])
        #expect(try parts.outbox() == [])
        #expect(try parts.reader.number(of: "c:u1") == nil)
        try parts.connection.setPragma("max_page_count", 1_000_000)
        // What was refused has left nothing that a repeat could find.
        let stored = parts.commit([[again], [first]], receipts: receipt)
        #expect(outcomes(stored) == [[.appended(1)], [.repeated(1, content: "again")]])
        for batch in stored { #expect(batch.due == (try parts.outbox())) }
        #expect(parts.takeTold() == ["committed 2", "moved 1"])
    }

    @Test("what fails at its very commit has failed, though every outcome was known by then (R8)")
    func failedAtCommit() throws {
        let parts = try Parts(directory.path)
        _ = parts.commit([[Draft(addressee: nil)]])
        _ = parts.takeTold()
        // A reference to nothing, which the commit itself refuses.
        for statement in [
            "CREATE TEMP TABLE whole (id INTEGER PRIMARY KEY)",
            "CREATE TEMP TABLE part (id INTEGER REFERENCES whole DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TEMP TRIGGER breaking AFTER INSERT ON main.log BEGIN INSERT INTO part VALUES (1); END",
        ] { try parts.connection.execute(statement) }
        let message = Draft(addressee: nil, clientID: "k1")
        let failed = parts.commit([[message], [message]], receipts: receipt)
        #expect(outcomes(failed) == [[.failed(.unavailable)], [.failed(.unavailable)]])
        #expect(parts.takeTold() == ["committed 2"])
        #expect(try parts.reader.read("c:u1", .after(0), limit: 10, bytesMax: 1000).head == 1)
        try parts.connection.execute("DROP TRIGGER breaking")
        let stored = parts.commit([[message], [message]], receipts: receipt)
        #expect(outcomes(stored) == [[.appended(2)], [.repeated(2, content: "hello")]])
        #expect(parts.takeTold() == ["committed 2", "moved 1"])
        #expect(try parts.reader.read("c:u1", .after(0), limit: 10, bytesMax: 1000).head == 2)
    }

    @Test(
        "an entry is stored with what it makes due and what it rewrites, or not at all (R10, R13)",
        arguments: ["INSERT ON main.outbox", "UPDATE ON main.log"]
    )
    func storedTogether(refused: String) throws {
        let parts = try Parts(directory.path)
        _ = parts.commit([[Draft(addressee: nil)]])
        let draft =
            refused.hasPrefix("UPDATE")
            ? Draft.recall(1) : Draft(conversationID: "c:u2", sender: "u2", addressee: nil)
        let head = { try parts.reader.read(draft.conversationID, .after(0), limit: 10, bytesMax: 1000).head }
        let before = try head()
        try parts.connection.execute(
            "CREATE TEMP TRIGGER refusing BEFORE \(refused) BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        #expect(outcomes(parts.commit([[draft]])) == [[.failed(.unavailable)]])
        #expect(try head() == before)
        #expect(try parts.outbox().count == 1)
        try parts.connection.execute("DROP TRIGGER refusing")
        #expect(outcomes(parts.commit([[draft]])) == [[.appended(before + 1)]])
    }

    @Test("while the index is behind, receipts and what is settled are stored all the same")
    func indexBehind() throws {
        let parts = try Parts(directory.path, itemsMax: 1)
        let due = parts.commit([[Draft(addressee: nil)]])[0].due
        _ = parts.takeTold()
        let refused = parts.commit([[Draft(addressee: nil)]], settled: Set(due.map(\.number)), receipts: receipt)
        #expect(outcomes(refused) == [[.failed(.unavailable)]])
        #expect(parts.takeTold() == ["committed 1", "moved 1"])
        #expect(try parts.outbox() == [])
        try parts.indexer.runOnce()
        #expect(outcomes(parts.commit([[Draft(addressee: nil)]])) == [[.appended(2)]])
    }

    @Test("what an entry made due is there after a crash before it was settled")
    func crash() throws {
        let due: [OutboxItem]
        do {
            let parts = try Parts(directory.path)
            due = parts.commit([[Draft(addressee: nil, clientID: "k1")]])[0].due
            #expect(due.count == 1)
        }
        // The connections are gone without a checkpoint or an index run, as after a kill.
        for round in 0..<2 {
            let parts = try Parts(directory.path)
            try parts.indexer.recover(from: parts.connection)
            #expect(try parts.outbox() == due)
            #expect(parts.commit([[Draft(addressee: nil, clientID: "k1")]])[0].due == due, "\(round)")
        }
        do {
            let parts = try Parts(directory.path)
            try parts.indexer.recover(from: parts.connection)
            _ = parts.commit([], settled: Set(due.map(\.number)))
            #expect(parts.takeTold() == [])
        }
        #expect(try Parts(directory.path).outbox() == [])
    }
}
