import Core
import Dispatch
import Foundation
import Net
import Redis
import Synchronization

/// The engine for any number of gateways: everything lies in Redis, on one server or spread over a cluster.
///
/// Redis answers a step once it is in the append-only file (`appendfsync always`), so what is answered is durable.
final class RedisConversationLog: ConversationLog {
    /// Tells what is refused after `close`.
    static let closedProblem = FrameProblem(
        code: .unavailable,
        message: "the message log is closed; nothing was stored"
    )
    /// What its connections are called in Redis.
    static let clientName = "gateway-log"
    /// The most reads that wait; a further one fails at once.
    private static let waitingReadsMax = 50_000

    /// The most commands without an answer; further entries are refused until there are fewer.
    private static let commandsMax = 100_000

    private struct Closed: Error {}

    private struct TooManyReads: Error {}

    private struct Gate {
        var isClosed = false
        var reads = 0
    }

    private let loops: EventLoopGroup
    private let core: RedisLogCore
    private let committed: LogCommitter.Committed
    private let gate = Mutex(Gate())

    /// Connects; without a connection all fails until there is one.
    ///
    /// - Parameters:
    ///   - url: The server, or some of a cluster's.
    ///   - intervalMilliseconds: The least time between two turns in which entries are sent.
    ///   - committed: Gets every batch back, on the log's thread.
    ///   - moved: Gets the receipts that are stored, on the same thread.
    init(
        _ url: RedisURL,
        intervalMilliseconds: Int,
        log: Log,
        committed: @escaping LogCommitter.Committed,
        moved: @escaping LogCommitter.Moved = { _ in }
    ) throws {
        loops = try EventLoopGroup(count: 1)
        let loop = loops.next()
        var configuration = RedisConfiguration()
        configuration.clientName = Self.clientName
        configuration.libraries = [.messageLog]
        // At most one step for each conversation in use, but for reads.
        configuration.commandsMax = Self.commandsMax
        configuration.log = log
        core = RedisLogCore(
            loop: loop,
            client: RedisCluster(url, loop: loop, configuration: configuration),
            intervalMilliseconds: intervalMilliseconds,
            log: log,
            committed: committed,
            moved: moved
        )
        self.committed = committed
    }

    func append(_ batch: Handover<AppendBatch>) {
        let isTaken = onLoop { $0.append(batch.value) }
        if isTaken { return }
        LogCommitter.fail([batch.value], Self.closedProblem)
        committed(Handover([batch.value]))
    }

    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?) {
        _ = onLoop { $0.move(receipt, of: user, from: origin) }
    }

    func settle(_ number: Int64) {
        _ = onLoop { core in Task { await core.settle(Int(number)) } }
    }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int,
        bytesMax: Int,
        _ answer: @escaping @Sendable (Result<EntryPage, any Error>) -> Void
    ) {
        ask(answer) { try await $0.read(conversationID, range, limit: limit, bytesMax: bytesMax) }
    }

    func positions(
        of user: String,
        naming: [String],
        _ answer: @escaping @Sendable (Result<[MemberPosition], any Error>) -> Void
    ) {
        ask(answer) { try await $0.positions(of: user, naming: naming) }
    }

    func position(
        of user: String,
        in conversationID: String,
        _ answer: @escaping @Sendable (Result<MemberPosition?, any Error>) -> Void
    ) {
        ask(answer) { try await $0.position(of: user, in: conversationID) }
    }

    func members(of conversationID: String, _ answer: @escaping @Sendable (Result<[String], any Error>) -> Void) {
        ask(answer) { try await $0.members(of: conversationID) }
    }

    func conversations(
        _ query: ConversationQuery,
        _ answer: @escaping @Sendable (Result<ConversationPage, any Error>) -> Void
    ) {
        ask(answer) { try await $0.conversations(query) }
    }

    func conversation(
        _ conversationID: String,
        for user: String,
        _ answer: @escaping @Sendable (Result<ConversationSummary?, any Error>) -> Void
    ) {
        ask(answer) { try await $0.conversation(conversationID, for: user) }
    }

    func outbox(
        after number: Int64,
        limit: Int,
        _ answer: @escaping @Sendable (Result<[OutboxItem], any Error>) -> Void
    ) {
        ask(answer) { try await $0.outbox(after: number, limit: limit) }
    }

    func check(_ answer: @escaping @Sendable (Result<Void, any Error>) -> Void) {
        ask(answer) { try await $0.checkImport() }
    }

    func close() async {
        await core.close()
        let isFirst = gate.withLock { gate in
            defer { gate.isClosed = true }
            return !gate.isClosed
        }
        if isFirst { await end() }
    }

    /// Ends the loop's thread, which must not block the caller's executor.
    private func end() async {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { [loops] in
                loops.shutDown()
                continuation.resume()
            }
        }
    }

    // MARK: - The loop

    /// Runs `work` there; false when the log is closed.
    private func onLoop(_ work: @escaping @Sendable (isolated RedisLogCore) -> Void) -> Bool {
        gate.withLock { gate in
            guard !gate.isClosed else { return false }
            core.loop.submit { [core] in core.assumeIsolated { work($0) } }
            return true
        }
    }

    private func ask<Value: Sendable>(
        _ answer: @escaping @Sendable (Result<Value, any Error>) -> Void,
        _ question: @escaping @Sendable (RedisLogCore) async throws -> Value
    ) {
        let refusal: (any Error)? = gate.withLock { gate in
            if gate.isClosed { return Closed() }
            if gate.reads >= Self.waitingReadsMax { return TooManyReads() }
            gate.reads += 1
            return nil
        }
        if let refusal { return answer(.failure(refusal)) }
        Task(executorPreference: core.loop) { [self] in
            let result: Result<Value, any Error>
            do { result = .success(try await question(core)) } catch { result = .failure(error) }
            gate.withLock { $0.reads -= 1 }
            answer(result)
        }
    }
}
