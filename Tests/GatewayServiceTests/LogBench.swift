import Core
import Storage
import Synchronization
import Testing

@testable import GatewayService

/// What a commit of a test gave back.
struct Committed {
    var outcomes: [Outcome] = []
    /// Of each entry, sorted.
    var audiences: [[String]] = []
    var due: [OutboxItem] = []
    var moves: [PositionMove] = []
}

/// The log's parts without its threads, so that a test decides when a commit and an index run happen.
final class LogBench {
    struct Refused: Error {}

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
    func commit(_ drafts: [Draft]) throws -> [Outcome] { try run(drafts).outcomes }

    /// One commit: entries, then what is settled, then receipts.
    ///
    /// - Parameter isFailing: Whether it is rolled back at its end.
    @discardableResult
    func run(
        _ drafts: [Draft] = [],
        settling numbers: [Int64] = [],
        receipts: [Membership: GatheredReceipt] = [:],
        isFailing: Bool = false
    ) throws -> Committed {
        let batch = AppendBatch(drafts)
        var committed = Committed()
        do {
            try connection.transaction {
                entries.beginCommit()
                for index in batch.appends.indices { try entries.append(batch, index) }
                for number in numbers { try entries.settle(number) }
                committed.moves = try receipts.compactMap { membership, receipt in
                    try entries.move(receipt, of: membership.user, in: membership.conversationID)
                }
                if isFailing { throw Refused() }
            }
        } catch {
            entries.abandonCommit()
            throw error
        }
        _ = tail.add(entries.endCommit([batch]))
        committed.outcomes = batch.appends.map { Outcome($0.outcome) }
        committed.audiences = batch.appends.map { $0.outcome.audience.sorted() }
        committed.due = batch.due
        return committed
    }

    /// One receipt, stored.
    @discardableResult
    func move(_ kind: Receipt.Kind, _ user: String, _ sequence: Int, in name: String = "c:u1") throws -> PositionMove? {
        let receipt = GatheredReceipt(delivered: sequence, read: kind == .read ? sequence : 0)
        return try run(receipts: [Membership(user: user, conversationID: name): receipt]).moves.first
    }

    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int = 1000,
        bytesMax: Int = 1 << 20
    ) throws -> Page {
        Page(try reader.read(conversationID, range, limit: limit, bytesMax: bytesMax))
    }

    /// The stored text of an entry, as a client is sent it.
    func text(_ sequence: Int, of conversationID: String = "c:u1") throws -> String {
        let page = try reader.read(conversationID, .after(sequence - 1), limit: 1, bytesMax: 1)
        return String(decoding: page.bytes, as: UTF8.self)
    }

    /// What is due, oldest first.
    func outbox() throws -> [OutboxItem] { try reader.outbox(after: 0, limit: 1000) }

    /// `delivered` and `head` of what a user is to be sent, by conversation.
    func positions(_ user: String, naming: [String] = []) throws -> [String: [Int]] {
        let positions = try reader.positions(of: user, naming: naming)
        return Dictionary(uniqueKeysWithValues: positions.map { ($0.conversationID, [$0.delivered, $0.head]) })
    }
}

extension AppendOutcome {
    /// Who is told; nobody when it failed.
    var audience: [String] {
        switch self {
        case .appended(_, let audience), .repeated(_, _, let audience): audience
        case .failed, .pending: []
        }
    }
}
