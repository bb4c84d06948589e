import Core
import Net
import Storage

/// What the writer's thread does with what was queued: one transaction, then the outcomes.
final class LogCommitter {
    /// Called on the writer's thread with batches whose outcomes are set.
    typealias Committed = @Sendable (Handover<[AppendBatch]>) -> Void

    /// Whose delivered position, and where.
    struct Position: Hashable {
        let user: String
        let conversationID: String
    }

    private let connection: Connection
    private let entries: LogEntries
    private let tail: LogTail
    private let indexer: LogIndexer
    private let log: Log
    private let committed: Committed

    init(
        connection: Connection,
        index: Connection,
        tail: LogTail,
        indexer: LogIndexer,
        log: Log,
        committed: @escaping Committed
    ) throws {
        self.connection = connection
        self.tail = tail
        self.indexer = indexer
        self.log = log
        self.committed = committed
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

    /// Makes the batches durable, or fails all of them, and hands them back.
    func commit(_ batches: [AppendBatch], _ positions: [Position: Int]) {
        guard batches.isEmpty || !tail.isFull else {
            log.error("index_behind")
            indexer.runSoon()
            Self.fail(
                batches,
                FrameProblem(code: .unavailable, message: "the log's index is behind; nothing was stored")
            )
            return committed(Handover(batches))
        }
        do {
            try connection.transaction {
                entries.beginCommit()
                for batch in batches {
                    for index in batch.appends.indices { try entries.append(batch, index) }
                }
                for (position, sequence) in positions {
                    try entries.setDelivered(position.user, position.conversationID, sequence)
                }
            }
            let waiting = tail.add(entries.endCommit())
            if waiting >= LogIndexer.runEntries { indexer.runSoon() }
        } catch {
            log.error("commit_failed", ["error": .string("\(error)")])
            entries.abandonCommit()
            Self.fail(batches, Self.frameProblem(error))
        }
        if !batches.isEmpty { committed(Handover(batches)) }
    }

    static func fail(_ batches: [AppendBatch], _ problem: FrameProblem) {
        for batch in batches {
            for index in batch.appends.indices { batch.appends[index].outcome = .failed(problem) }
        }
    }

    private static func frameProblem(_ error: any Error) -> FrameProblem {
        if let error = error as? SQLiteError, error.isFull {
            return FrameProblem(code: .storageFull, message: "the message log is full; nothing was stored")
        }
        return FrameProblem(code: .unavailable, message: "the message log failed; nothing was stored")
    }
}
