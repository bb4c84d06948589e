import Core
import Net
import Redis
import Storage
import Synchronization
import TestSupport
import Testing

@testable import GatewayService

/// A log's parts without what runs by itself, over the engine of the run, so that one suite serves both.
final class EngineBench {
    private enum Engine {
        case sqlite(LogBench)
        case redis(RedisBench)
    }

    private let path: String
    private var engine: Engine

    init(_ path: String) async throws {
        self.path = path
        if StoreEngine.isRedis {
            engine = .redis(try RedisBench(try await StoreEngine.redis(for: path)))
        } else {
            engine = .sqlite(try LogBench(path))
        }
    }

    /// The same log, with nothing in memory.
    func reopen() async throws {
        switch engine {
        case .sqlite: engine = .sqlite(try LogBench(path))
        case .redis(let bench):
            let url = bench.url
            await bench.shutDown()
            engine = .redis(try RedisBench(url))
        }
    }

    /// One run of SQLite's indexer.
    func index() throws { if case .sqlite(let bench) = engine { try bench.indexer.runOnce() } }

    /// Has the engine give up an index run that it has begun.
    func beginIndexing() { if case .sqlite(let bench) = engine { _ = bench.tail.beginIndexing() } }

    @discardableResult
    func commit(_ drafts: [Draft]) async throws -> [Outcome] { try await run(drafts).outcomes }

    /// Entries, then what is settled, then receipts.
    ///
    /// - Parameter isFailing: Whether all of it fails.
    @discardableResult
    func run(
        _ drafts: [Draft] = [],
        settling numbers: [Int64] = [],
        receipts: [Membership: GatheredReceipt] = [:],
        isFailing: Bool = false
    ) async throws -> Committed {
        switch engine {
        case .sqlite(let bench):
            return try bench.run(drafts, settling: numbers, receipts: receipts, isFailing: isFailing)
        case .redis(let bench):
            if isFailing { return try await bench.fail(drafts) }
            return await bench.run(drafts, settling: numbers, receipts: receipts)
        }
    }

    /// Appends, with outcomes as the log gives them.
    func outcomes(_ drafts: [Draft]) async throws -> [AppendOutcome] {
        switch engine {
        case .sqlite(let bench):
            let batch = AppendBatch(drafts)
            try bench.connection.transaction {
                bench.entries.beginCommit()
                for index in batch.appends.indices { try bench.entries.append(batch, index) }
            }
            _ = bench.tail.add(bench.entries.endCommit([batch]))
            return batch.appends.map(\.outcome)
        case .redis(let bench): return await bench.append(drafts).value.appends.map(\.outcome)
        }
    }

    @discardableResult
    func move(
        _ kind: Receipt.Kind,
        _ user: String,
        _ sequence: Int,
        in name: String = "c:u1"
    ) async throws -> PositionMove? {
        let receipt = GatheredReceipt(delivered: sequence, read: kind == .read ? sequence : 0)
        return try await run(receipts: [Membership(user: user, conversationID: name): receipt]).moves.first
    }

    // MARK: - Reads

    func read(
        _ name: String,
        _ range: EntryRange,
        limit: Int = 1000,
        bytesMax: Int = 1 << 20
    ) async throws -> Page {
        switch engine {
        case .sqlite(let bench): try bench.read(name, range, limit: limit, bytesMax: bytesMax)
        case .redis(let bench): Page(try await bench.core.read(name, range, limit: limit, bytesMax: bytesMax))
        }
    }

    /// The stored text of an entry.
    func text(_ sequence: Int, of name: String = "c:u1") async throws -> String {
        switch engine {
        case .sqlite(let bench): return try bench.text(sequence, of: name)
        case .redis(let bench):
            let page = try await bench.core.read(name, .after(sequence - 1), limit: 1, bytesMax: 1)
            return String(decoding: page.bytes, as: UTF8.self)
        }
    }

    func outbox(after number: Int64 = 0, limit: Int = 1000) async throws -> [OutboxItem] {
        switch engine {
        case .sqlite(let bench): try bench.reader.outbox(after: number, limit: limit)
        case .redis(let bench): try await bench.core.outbox(after: number, limit: limit)
        }
    }

    /// `delivered` and `head` of what a user is to be sent, by conversation.
    func positions(_ user: String, naming: [String] = []) async throws -> [String: [Int]] {
        switch engine {
        case .sqlite(let bench): return try bench.positions(user, naming: naming)
        case .redis(let bench):
            let positions = try await bench.core.positions(of: user, naming: naming)
            return Dictionary(uniqueKeysWithValues: positions.map { ($0.conversationID, [$0.delivered, $0.head]) })
        }
    }

    func position(of user: String, in name: String) async throws -> MemberPosition? {
        switch engine {
        case .sqlite(let bench): try bench.reader.position(of: user, in: name)
        case .redis(let bench): try await bench.core.position(of: user, in: name)
        }
    }

    func members(of name: String) async throws -> [String] {
        switch engine {
        case .sqlite(let bench): try bench.reader.members(of: name)
        case .redis(let bench): try await bench.core.members(of: name)
        }
    }

    func conversation(_ name: String, for user: String) async throws -> ConversationSummary? {
        switch engine {
        case .sqlite(let bench): try bench.reader.conversation(name, for: user)
        case .redis(let bench): try await bench.core.conversation(name, for: user)
        }
    }

    func conversations(
        _ query: ConversationQuery,
        entriesMax: Int = LogReader.pageEntriesMax
    ) async throws -> ConversationPage {
        switch engine {
        case .sqlite(let bench): try bench.reader.conversations(query, entriesMax: entriesMax)
        case .redis(let bench): try await bench.core.conversations(query, entriesMax: entriesMax)
        }
    }
}

/// The Redis log's loop side with a client of its own, as one gateway has it.
final class RedisBench: Sendable {
    /// A loop for all of them: threads are not what is tested.
    private static let loops = Result { try EventLoopGroup(count: 1) }

    let url: RedisURL
    let core: RedisLogCore
    private let waiters: BatchWaiters

    init(_ url: RedisURL) throws {
        self.url = url
        let loop = try Self.loops.get().next()
        var configuration = RedisConfiguration()
        configuration.libraries = [.messageLog]
        let waiters = BatchWaiters()
        self.waiters = waiters
        core = RedisLogCore(
            loop: loop,
            client: RedisCluster(url, loop: loop, configuration: configuration),
            intervalMilliseconds: 0,
            log: Log(service: "test", level: .error),
            committed: { waiters.committed($0) },
            moved: { _ in }
        )
    }

    func shutDown() async { await core.client.shutDown() }

    /// Appends drafts in one batch.
    func append(_ drafts: [Draft]) async -> Handover<AppendBatch> {
        let batch = Handover(AppendBatch(drafts))
        await withCheckedContinuation { continuation in
            waiters.add(batch.value, continuation)
            core.loop.submit { [core] in core.assumeIsolated { $0.append(batch.value) } }
        }
        return batch
    }

    func run(
        _ drafts: [Draft],
        settling numbers: [Int64] = [],
        receipts: [Membership: GatheredReceipt] = [:]
    ) async -> Committed {
        let batch = await append(drafts).value
        for number in numbers { await core.settle(Int(number)) }
        var committed = Committed()
        committed.moves = await core.store(receipts)
        committed.outcomes = batch.appends.map { Outcome($0.outcome) }
        committed.audiences = batch.appends.map { $0.outcome.audience.sorted() }
        committed.due = batch.due.filter { !numbers.contains($0.number) }
        return committed
    }

    /// Appends while Redis takes nothing.
    func fail(_ drafts: [Draft]) async throws -> Committed {
        _ = try await core.answer(RedisCommand("CONFIG", "SET", "maxmemory", "1"))
        let committed = await run(drafts)
        _ = try await core.answer(RedisCommand("CONFIG", "SET", "maxmemory", "0"))
        #expect(committed.outcomes.allSatisfy { $0.isRefused })
        throw LogBench.Refused()
    }
}

extension Outcome {
    /// Whether it is refused, for want of room if nothing else was wrong with it, or was there before.
    fileprivate var isRefused: Bool {
        switch self {
        case .failed, .repeated: true
        case .appended, .pending: false
        }
    }
}

/// Batches that wait for the log to hand them back, whole.
private final class BatchWaiters: Sendable {
    private let waiting = Mutex<[ObjectIdentifier: CheckedContinuation<Void, Never>]>([:])

    func add(_ batch: AppendBatch, _ continuation: CheckedContinuation<Void, Never>) {
        waiting.withLock { $0[ObjectIdentifier(batch)] = continuation }
    }

    func committed(_ batches: Handover<[AppendBatch]>) {
        for batch in batches.value {
            waiting.withLock { $0.removeValue(forKey: ObjectIdentifier(batch)) }?.resume()
        }
    }
}
