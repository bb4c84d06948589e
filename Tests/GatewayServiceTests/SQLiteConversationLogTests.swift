import Core
import Foundation
import Net
import Storage
import Synchronization
import TestSupport
import Testing

@testable import GatewayService

@Suite("SQLite conversation log")
struct SQLiteConversationLogTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Opens, runs and closes, so that the next one can open the same files.
    @discardableResult
    private func withLog<Value>(
        _ path: String? = nil,
        _ body: (LogFixture) async throws -> Value
    ) async throws -> Value {
        let fixture = try LogFixture(sqlite: path ?? directory.path)
        let value = try await body(fixture)
        await fixture.log.close()
        return value
    }

    /// A copy of the files as they are: what a crash would leave at this moment.
    private func crashImage(
        _ names: [String] = ["index.db", "index.db-wal", "log.db", "log.db-wal"]
    ) throws
        -> TemporaryDirectory
    {
        let image = try TemporaryDirectory()
        for name in names where FileManager.default.fileExists(atPath: directory.file(name)) {
            try FileManager.default.copyItem(atPath: directory.file(name), toPath: image.file(name))
        }
        return image
    }

    @Test("what was queued together is committed together, the interval apart")
    func groups() async throws {
        let fixture = try LogFixture(sqlite: directory.path, interval: 20)
        await fixture.append(Draft())
        let before = fixture.waiters.commits.load(ordering: .relaxed)
        _ = await fixture.append(batches: (0..<50).map { [Draft(content: "\($0)")] })
        #expect(fixture.waiters.commits.load(ordering: .relaxed) - before < 25)
        await fixture.log.close()
    }

    @Test("the same client_id from the same sender is the same entry, for ever")
    func idempotent() async throws {
        let draft = Draft(clientID: "k1", content: "first")
        let again = Draft(clientID: "k1", content: "again")
        let repeated = Outcome.repeated(1, content: "first")
        try await withLog { log async throws in
            #expect(await log.append([draft, again]) == [.appended(1), repeated])
            #expect(await log.append(again) == repeated)
            #expect(await log.append(batches: [[again], [again, again]]) == [[repeated], [repeated, repeated]])
        }
        try await withLog { #expect(await $0.append(again) == repeated) }
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: directory.file("index.db\(suffix)"))
        }
        try await withLog { #expect(await $0.append(again) == repeated) }
        try await withLog { log async throws in
            #expect(await log.append(again) == repeated)
            #expect(try await log.read("c:u1", .after(0)).contents == ["first"])
        }
    }

    @Test("a second owner is refused, and told what to do")
    func secondOwner() async throws {
        try await withLog { log async throws in
            let error = #expect(throws: StorageError.self) { try LogFixture(sqlite: directory.path) }
            #expect(error.map { "\($0)" }?.contains("redis://") == true)
            try await log.check()
            #expect(await log.append(Draft()) == .appended(1))
        }
        try await withLog { #expect(await $0.append(Draft()) == .appended(2)) }
    }

    @Test("a crash loses nothing that was reported")
    func crash() async throws {
        let fixture = try LogFixture(sqlite: directory.path)
        let reported = Mutex<[String: Int]>([:])
        let isEnough = Atomic(false)
        var images: [(TemporaryDirectory, [String: Int])] = []
        // Far fewer pages than start a checkpoint, so the write-ahead log only grows while it is copied.
        let appending = Task { [waiters = fixture.waiters, log = fixture.log] in
            for number in 0..<300 where !isEnough.load(ordering: .relaxed) {
                let drafts = (0..<2).map {
                    Draft(
                        conversationID: "c:u\((number + $0) % 5)",
                        clientID: "\(number).\($0)",
                        content: "\(number).\($0)"
                    )
                }
                let batch = AppendBatch(drafts)
                let outcomes = await withCheckedContinuation { continuation in
                    waiters.add(batch, continuation)
                    log.append(Handover(batch))
                }
                reported.withLock { reported in
                    for (draft, outcome) in zip(drafts, outcomes) {
                        reported["\(draft.conversationID) \(draft.content)"] = Outcome(outcome).sequence
                    }
                }
            }
        }
        for count in [20, 100, 250] {
            #expect(await eventually(within: .seconds(120)) { reported.withLock { $0.count } >= count })
            let known = reported.withLock { $0 }
            images.append((try crashImage(), known))
        }
        isEnough.store(true, ordering: .relaxed)
        await appending.value
        images.append((try crashImage(), reported.withLock { $0 }))
        await fixture.log.close()
        for (image, known) in images {
            try await withLog(image.path) { log async throws in
                for user in 0..<5 {
                    let page = try await log.read("c:u\(user)", .after(0))
                    #expect(page.sequences == Array(1..<page.head + 1))
                    for (name, sequence) in known where name.hasPrefix("c:u\(user) ") {
                        #expect(page.sequences.count >= sequence)
                        #expect("c:u\(user) " + page.contents[sequence - 1] == name)
                    }
                    let content = try #require(page.contents.first)
                    let again = await log.append(Draft(conversationID: "c:u\(user)", clientID: content))
                    #expect(again == .repeated(1, content: content))
                    #expect(await log.append(Draft(conversationID: "c:u\(user)")) == .appended(page.head + 1))
                }
            }
        }
    }

    @Test("a log that was put back to an earlier copy makes its index again")
    func earlierLog() async throws {
        try await withLog { log async throws in
            await log.append((1...5).map { Draft(clientID: "k\($0)", content: "old \($0)") })
        }
        let earlier = try crashImage()
        try await withLog { log async throws in
            await log.append((6...9).map { Draft(clientID: "k\($0)", content: "lost \($0)") })
            await log.append(Draft(conversationID: "c:lost", content: "lost"))
        }
        for name in ["log.db", "log.db-wal", "log.db-shm"] {
            try? FileManager.default.removeItem(atPath: directory.file(name))
        }
        try FileManager.default.copyItem(atPath: earlier.file("log.db"), toPath: directory.file("log.db"))
        for round in 0..<2 {
            try await withLog { log async throws in
                let page = try await log.read("c:u1", .after(0))
                #expect(page.sequences == Array(1..<6 + round))
                #expect(try await log.read("c:lost", .after(0)) == Page(EntryPage()))
                #expect(await log.append(Draft(clientID: "k3")) == .repeated(3, content: "old 3"))
                #expect(await log.append(Draft(clientID: "k\(7 + round)", content: "new")) == .appended(6 + round))
            }
        }
        try await withLog { log async throws in
            let expected = (1...5).map { "old \($0)" } + ["new", "new"]
            #expect(try await log.read("c:u1", .after(0)).contents == expected)
        }
    }

    @Test("a full disk refuses whole batches, and stores nothing of them")
    func full() async throws {
        let files = LogFiles(directory: directory.path)
        let connection = try files.openWriter()
        let tail = LogTail()
        let log = Log(service: "test", level: .error, descriptor: -1)
        let indexer = try LogIndexer(files: files, tail: tail, log: log)
        let waiters = CommitWaiters()
        let committer = try LogCommitter(
            connection: connection,
            index: files.openIndexReader(),
            tail: tail,
            indexer: indexer,
            log: log,
            committed: { waiters.committed($0) },
            moved: { _ in }
        )
        let writer = LogWriter(committer, intervalMilliseconds: 0)
        try connection.setPragma("max_page_count", try connection.pragma("page_count") + 8)
        writer.start()
        func append(_ drafts: [Draft]) async -> [Outcome] {
            let batch = AppendBatch(drafts)
            return await withCheckedContinuation { continuation in
                waiters.add(batch, continuation)
                if !writer.append(Handover(batch)) { Issue.record("the writer has stopped") }
            }.map(Outcome.init)
        }
        let large = String(repeating: "x", count: 9000)
        #expect(await append([Draft(clientID: "k1")]) == [.appended(1)])
        let failed = await append(
            [Draft(clientID: "k2")] + (0..<9).map { _ in Draft(content: large) } + [Draft(clientID: "k1")]
        )
        #expect(failed == [Outcome](repeating: .failed(.storageFull), count: 11))
        #expect(await append([Draft(clientID: "k2"), Draft(clientID: "k1")]).map(\.sequence) == [2, 1])
        #expect(await append([Draft(conversationID: "c:u2", content: large)]) == [.appended(1)])
        let reader = try LogReader(files: files, tail: tail)
        #expect(Page(try reader.read("c:u1", .after(0), limit: 100, bytesMax: 1 << 20)).sequences == [1, 2])
        // Stopping blocks until the writer's thread has ended: not on one of the test runner's threads.
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                writer.stop()
                continuation.resume()
            }
        }
    }
}
