import Core
import Foundation
import Net
import Storage
import Synchronization
import Testing

@testable import GatewayService

/// An entry that a test wants to be appended.
struct Draft {
    var conversationID = "c:u1"
    var sender = "u1"
    var addressee: String? = "a1"
    var clientID: String?
    var content = "hello"
}

extension AppendBatch {
    /// Puts drafts into a batch as a gateway's shard does.
    convenience init(_ drafts: [Draft], origin: ConnectionID? = nil) {
        self.init()
        var ids = MessageID()
        for draft in drafts {
            let content = Array(JSONText.quoted(draft.content).utf8.dropFirst().dropLast())
            content.withUnsafeBytes { slice in
                var chat = ChatFrame(content: JSONSlice(kind: .string, bytes: slice, hasEscapes: true))
                chat.clientID = draft.clientID
                let parts = ChatEntry.Parts(
                    conversationID: draft.conversationID,
                    sender: draft.sender,
                    addressee: draft.addressee ?? "",
                    file: nil
                )
                let (text, acknowledged) = ChatEntry.write(chat, parts, messageID: &ids, now: .now(), to: &bytes)
                appends.append(
                    Append(
                        conversationID: draft.conversationID,
                        sender: draft.sender,
                        senderType: draft.sender.hasPrefix("a") ? .agent : .customer,
                        addressee: draft.addressee,
                        clientID: draft.clientID,
                        kind: .chat,
                        text: text,
                        acknowledged: acknowledged,
                        file: nil,
                        origin: origin
                    )
                )
            }
        }
    }
}

/// What became of a draft, in a form that tests compare.
enum Outcome: Equatable, Sendable {
    case appended(Int)
    case repeated(Int, content: String?)
    case failed(ProblemCode)
    case pending

    init(_ outcome: AppendOutcome) {
        switch outcome {
        case .pending: self = .pending
        case .appended(let sequence, _): self = .appended(sequence)
        case .repeated(let sequence, let stored, _):
            self = .repeated(sequence, content: StoredEntry.field("content", in: stored))
        case .failed(let problem): self = .failed(problem.code)
        }
    }

    /// The entry's sequence, when there is an entry.
    var sequence: Int? {
        switch self {
        case .appended(let sequence), .repeated(let sequence, _): sequence
        case .failed, .pending: nil
        }
    }
}

/// Batches that wait for the log to hand them back.
final class CommitWaiters: Sendable {
    private let waiting = Mutex<[ObjectIdentifier: CheckedContinuation<[AppendOutcome], Never>]>([:])
    /// How many times the log has handed batches back.
    let commits = Atomic(0)

    func add(_ batch: AppendBatch, _ continuation: CheckedContinuation<[AppendOutcome], Never>) {
        waiting.withLock { $0[ObjectIdentifier(batch)] = continuation }
    }

    func committed(_ batches: Handover<[AppendBatch]>) {
        commits.add(1, ordering: .relaxed)
        for batch in batches.value {
            let outcomes = batch.appends.map(\.outcome)
            waiting.withLock { $0.removeValue(forKey: ObjectIdentifier(batch)) }?.resume(returning: outcomes)
        }
    }
}

/// A page of entries, with contents in place of texts.
struct Page: Equatable {
    var sequences: [Int] = []
    var contents: [String] = []
    var head = 0

    init(_ page: EntryPage) {
        head = page.head
        for entry in page.entries {
            sequences.append(entry.sequence)
            contents.append(StoredEntry.field("content", in: Array(page.bytes[entry.text])) ?? "")
        }
    }
}

/// A log over a directory, asked and answered with `await`.
final class LogFixture {
    let log: SQLiteConversationLog
    let waiters = CommitWaiters()

    init(_ directory: String, interval: Int = 0) throws {
        log = try SQLiteConversationLog(
            directory: directory,
            intervalMilliseconds: interval,
            log: Log(service: "test", level: .error),
            committed: { [waiters] in waiters.committed($0) }
        )
    }

    /// Queues the batches one after the other without waiting in between; the outcomes of each.
    func append(batches: [[Draft]]) async -> [[Outcome]] {
        await withTaskGroup(of: (Int, [AppendOutcome]).self) { group in
            for (index, drafts) in batches.enumerated() {
                let batch = Handover(AppendBatch(drafts))
                group.addTask { [log, waiters] in
                    await withCheckedContinuation { continuation in
                        waiters.add(batch.value, continuation)
                        log.append(batch)
                    }.indexed(index)
                }
            }
            var results = [[Outcome]](repeating: [], count: batches.count)
            for await (index, outcomes) in group { results[index] = outcomes.map(Outcome.init) }
            return results
        }
    }

    /// Appends in one batch, with outcomes as the log gives them.
    func outcomes(_ drafts: [Draft]) async -> [AppendOutcome] {
        let batch = AppendBatch(drafts)
        return await withCheckedContinuation { continuation in
            waiters.add(batch, continuation)
            log.append(Handover(batch))
        }
    }

    @discardableResult
    func append(_ drafts: [Draft]) async -> [Outcome] { await outcomes(drafts).map(Outcome.init) }

    @discardableResult
    func append(_ draft: Draft) async -> Outcome { await append([draft])[0] }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int = 1000,
        bytesMax: Int = 1 << 20
    ) async throws -> Page {
        let page = try await withCheckedThrowingContinuation { continuation in
            log.read(conversationID, range, limit: limit, bytesMax: bytesMax) { continuation.resume(with: $0) }
        }
        return Page(page)
    }

    func positions(of user: String) async throws -> [MemberPosition] {
        let positions = try await withCheckedThrowingContinuation { continuation in
            log.positions(of: user) { continuation.resume(with: $0) }
        }
        return positions.sorted { $0.conversationID < $1.conversationID }
    }

    func position(of user: String, in conversationID: String) async throws -> MemberPosition? {
        try await withCheckedThrowingContinuation { continuation in
            log.position(of: user, in: conversationID) { continuation.resume(with: $0) }
        }
    }

    func check() async throws {
        try await withCheckedThrowingContinuation { continuation in
            log.check { continuation.resume(with: $0) }
        }
    }
}

extension [AppendOutcome] {
    fileprivate func indexed(_ index: Int) -> (Int, [AppendOutcome]) { (index, self) }
}

/// The log's parts without its threads, so that a test decides when a commit and an index run happen.
final class LogBench {
    let files: LogFiles
    let connection: Connection
    let tail = LogTail()
    let indexer: LogIndexer
    let entries: LogEntries
    let reader: LogReader

    init(_ directory: String) throws {
        files = LogFiles(directory: directory)
        connection = try files.openWriter()
        indexer = try LogIndexer(files: files, tail: tail, log: Log(service: "test", level: .error))
        try indexer.recover(from: connection)
        entries = try LogEntries(connection: connection, index: files.openIndexReader(), tail: tail)
        reader = try LogReader(files: files, tail: tail)
    }

    /// One commit.
    @discardableResult
    func commit(_ drafts: [Draft]) throws -> [Outcome] {
        let batch = AppendBatch(drafts)
        do {
            try connection.transaction {
                entries.beginCommit()
                for index in batch.appends.indices { try entries.append(batch, index) }
            }
        } catch {
            entries.abandonCommit()
            throw error
        }
        _ = tail.add(entries.endCommit())
        return batch.appends.map { Outcome($0.outcome) }
    }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int = 1000,
        bytesMax: Int = 1 << 20
    ) throws -> Page {
        Page(try reader.read(conversationID, range, limit: limit, bytesMax: bytesMax))
    }
}
