import Core
import Net
import Storage

/// What the writer's thread does with what was queued: one transaction, then the outcomes.
final class LogCommitter {
    /// Called on the writer's thread with batches whose outcomes are set.
    typealias Committed = @Sendable (Handover<[AppendBatch]>) -> Void

    /// Called on the writer's thread with receipts that are stored, after the batches of the same commit.
    typealias Moved = @Sendable ([PositionMove]) -> Void

    private let connection: Connection
    private let entries: LogEntries
    private let tail: LogTail
    private let indexer: LogIndexer
    private let log: Log
    private let committed: Committed
    private let moved: Moved

    init(
        connection: Connection,
        index: Connection,
        tail: LogTail,
        indexer: LogIndexer,
        log: Log,
        committed: @escaping Committed,
        moved: @escaping Moved
    ) throws {
        self.connection = connection
        self.tail = tail
        self.indexer = indexer
        self.log = log
        self.committed = committed
        self.moved = moved
        entries = try LogEntries(connection: connection, index: index, tail: tail)
    }

    /// Leaves the whole log in its one file, whichever of its connections is the last to be closed.
    ///
    /// SQLite would do so by itself only if that were this one: the readers' may not write.
    func close() {
        do { try connection.checkpoint(.truncate) } catch {
            log.warning("checkpoint_failed", ["error": .string("\(error)")])
        }
        connection.close()
    }

    /// Makes the work durable, and hands the batches back; when that fails all of them have failed, and the rest of the
    /// work is dropped: receipts are said again, and what was settled is still in the outbox.
    func commit(_ work: CommitWork) {
        var work = work
        if !work.batches.isEmpty, tail.isFull {
            log.error("index_behind")
            indexer.runSoon()
            Self.fail(
                work.batches,
                FrameProblem(code: .unavailable, message: "the log's index is behind; nothing was stored")
            )
            committed(Handover(work.batches))
            work.batches = []
        }
        let moves: [PositionMove]
        do {
            moves = try connection.transaction { try store(work) }
            let waiting = tail.add(entries.endCommit(work.batches))
            if waiting >= LogIndexer.runEntries { indexer.runSoon() }
        } catch {
            log.error("commit_failed", ["error": .string("\(error)")])
            entries.abandonCommit()
            Self.fail(work.batches, Self.frameProblem(error))
            moves = []
        }
        if !work.batches.isEmpty { committed(Handover(work.batches)) }
        if !moves.isEmpty { moved(moves) }
    }

    private func store(_ work: CommitWork) throws -> [PositionMove] {
        entries.beginCommit()
        for batch in work.batches {
            for index in batch.appends.indices { try entries.append(batch, index) }
        }
        for number in work.settled { try entries.settle(number) }
        return try work.receipts.compactMap { membership, receipt in
            try entries.move(receipt, of: membership.user, in: membership.conversationID)
        }
    }

    static func fail(_ batches: [AppendBatch], _ problem: FrameProblem) {
        for batch in batches {
            for index in batch.appends.indices { batch.appends[index].outcome = .failed(problem) }
            batch.due = []
        }
    }

    private static func frameProblem(_ error: any Error) -> FrameProblem {
        if let error = error as? SQLiteError, error.isFull {
            return FrameProblem(code: .storageFull, message: "the message log is full; nothing was stored")
        }
        return FrameProblem(code: .unavailable, message: "the message log failed; nothing was stored")
    }
}
