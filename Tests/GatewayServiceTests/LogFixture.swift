import Core
import Foundation
import Net
import Storage
import Synchronization
import TestSupport
import Testing

@testable import GatewayService

/// An entry that a test wants to be appended; users whose names begin with `a` are agents.
struct Draft {
    var conversationID = "c:u1"
    var sender = "u1"
    var addressee: String? = "a1"
    var clientID: String?
    var content = "hello"
    var kind = EntryKind.chat
    /// The file that a `Chat` carries.
    var fileID: String?
    var time = Timestamp.now()

    /// One of the entries that routing makes.
    static func system(_ kind: EntryKind, in conversationID: String = "c:u1", clientID: String? = nil) -> Draft {
        Draft(
            conversationID: conversationID,
            sender: EntryKind.system,
            addressee: nil,
            clientID: clientID,
            content: "",
            kind: kind
        )
    }

    static func recall(
        _ target: Int,
        in conversationID: String = "c:u1",
        by sender: String = "u1",
        clientID: String? = nil,
        time: Timestamp = .now()
    ) -> Draft {
        Draft(
            conversationID: conversationID,
            sender: sender,
            addressee: nil,
            clientID: clientID,
            content: "",
            kind: .recall(target: target),
            time: time
        )
    }

    var senderType: UserType? {
        if sender == EntryKind.system { return nil }
        return sender.hasPrefix("a") ? .agent : .customer
    }

    var source: String {
        GrantedFile.source(conversationID: conversationID, sender: sender, clientID: clientID)
    }

    /// The stored text as the gateway writes it.
    func text(messageID: String) -> String {
        let type =
            switch kind {
            case .chat: "Chat"
            case .recall: "Recall"
            case .assigned: "AgentAssigned"
            case .transferred: "Transferred"
            case .closed: "ConversationClosed"
            }
        var text = #""type":"\#(type)","id":"\#(messageID)","conversation_id":"\#(conversationID)","#
        text += #""timestamp":"\#(time.wire)","from_user_id":"\#(sender)""#
        switch kind {
        case .chat:
            if let addressee { text += #","to_user_id":"\#(addressee)""# }
            text += #","content_type":"Text","content":\#(JSONText.quoted(content))"#
        case .recall(let target): text += #","target_seq":\#(target)"#
        case .assigned(let agentID): text += #","agent_id":"\#(agentID)","reason":"least_loaded""#
        case .transferred(let agentID):
            text += #","agent_id":\#(agentID.map { "\"\($0)\"" } ?? "null"),"reason":"transferred_by""#
        case .closed: text += #","agent_id":null,"reason":"closed_by""#
        }
        if let clientID { text += #","client_id":\#(JSONText.quoted(clientID))"# }
        if let fileID { text += #","file":{"file_id":"\#(fileID)","url":"/files/\#(fileID)","size":3}"# }
        return text + "}"
    }
}

extension AppendBatch {
    /// Puts drafts into a batch as a gateway's shard does.
    convenience init(_ drafts: [Draft], origin: ConnectionID? = nil) {
        self.init()
        var ids = MessageID()
        for draft in drafts {
            var id = ByteQueue()
            ids.write(milliseconds: draft.time.milliseconds, into: id.reserve(MessageID.length))
            let stored = Array(draft.text(messageID: id.text).utf8)
            let start = bytes.count
            stored.withUnsafeBytes { bytes.append($0) }
            let acknowledged = StoredEntry.acknowledged(in: stored) ?? 0..<0
            appends.append(
                Append(
                    conversationID: draft.conversationID,
                    sender: draft.sender,
                    senderType: draft.senderType,
                    addressee: draft.addressee,
                    clientID: draft.clientID,
                    kind: draft.kind,
                    text: start..<bytes.count,
                    acknowledged: start + acknowledged.lowerBound..<start + acknowledged.upperBound,
                    file: draft.fileID.map { GrantedFile(fileID: $0, source: draft.source) },
                    origin: origin
                )
            )
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

extension StoreEngine {
    /// Opens the log at `path`, or a further time what an earlier one has left there.
    static func openLog(
        _ path: String,
        interval: Int = 0,
        committed: @escaping LogCommitter.Committed,
        moved: @escaping LogCommitter.Moved = { _ in }
    ) async throws -> any ConversationLog {
        let log = Log(service: "test", level: .error, descriptor: -1)
        if isRedis {
            let url = try await redis(for: path)
            return try RedisConversationLog(
                url,
                intervalMilliseconds: interval,
                log: log,
                committed: committed,
                moved: moved
            )
        }
        return try SQLiteConversationLog(
            directory: path,
            intervalMilliseconds: interval,
            log: log,
            committed: committed,
            moved: moved
        )
    }
}

/// A log, asked and answered with `await`.
final class LogFixture {
    let log: any ConversationLog
    let waiters = CommitWaiters()

    /// Over the engine of the run.
    init(_ directory: String, interval: Int = 0) async throws {
        log = try await StoreEngine.openLog(directory, interval: interval, committed: waiters.committed)
    }

    /// Over SQLite, whatever the run is for.
    init(sqlite directory: String, interval: Int = 0) throws {
        log = try SQLiteConversationLog(
            directory: directory,
            intervalMilliseconds: interval,
            log: Log(service: "test", level: .error),
            committed: waiters.committed
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

    func positions(of user: String, naming: [String] = []) async throws -> [MemberPosition] {
        let positions = try await withCheckedThrowingContinuation { continuation in
            log.positions(of: user, naming: naming) { continuation.resume(with: $0) }
        }
        return positions.sorted { $0.conversationID < $1.conversationID }
    }

    func position(of user: String, in conversationID: String) async throws -> MemberPosition? {
        try await withCheckedThrowingContinuation { continuation in
            log.position(of: user, in: conversationID) { continuation.resume(with: $0) }
        }
    }

    /// A `Delivered` of a member's.
    func deliver(_ user: String, _ conversationID: String, _ sequence: Int) {
        let receipt = Receipt(kind: .delivered, conversationID: conversationID, sequence: sequence)
        log.move(receipt, of: user, from: nil)
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
