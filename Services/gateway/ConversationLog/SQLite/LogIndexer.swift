import Core
import Dispatch
import Foundation
import Net
import Storage
import Synchronization

/// Writes the index file behind the log, on a thread of its own: sorted runs, one transaction each.
///
/// Large runs make it cheap (5 µs an entry at 128 k entries, 10 at 16 k); it never delays a commit, which goes to
/// another file.
final class LogIndexer: Sendable {
    /// An index run starts when that many entries wait for it.
    static let runEntries = 128 * 1024
    /// It also starts when some have waited that long.
    static let runInterval = DispatchTimeInterval.seconds(30)

    /// Handed over to the thread by `start`, and back by its end.
    private let handedOver: Handover<Connection>
    private let tail: LogTail
    private let log: Log
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let isStopping = Atomic(false)

    init(files: LogFiles, tail: LogTail, log: Log) throws {
        handedOver = Handover(try files.openIndexer())
        self.tail = tail
        self.log = log
    }

    /// Brings the index up to what the log holds: after a crash the tail of it, after the index file's loss all of it.
    ///
    /// - Parameter writer: The log's connection, before the writer's thread starts.
    func recover(from writer: Connection) throws {
        let last = try writer.first("SELECT max(i) FROM log") { $0.optionalInt64(0) }.flatMap { $0 } ?? 0
        let connection = handedOver.value
        var done = try connection.first("SELECT r FROM watermark") { $0.int64(0) } ?? 0
        if done > last {
            // The log was put back to an earlier state; what the index says beyond it is not true any more.
            try connection.transaction {
                try connection.run("DELETE FROM x")
                try connection.run("UPDATE watermark SET r = 0")
            }
            done = 0
        }
        while done < last {
            let items = try writer.rows(
                "SELECT c, q, i, h FROM log WHERE i > ? ORDER BY i LIMIT ?",
                done,
                Int64(Self.runEntries)
            ) { LogTail.Item(conversation: $0.int64(0), sequence: $0.int(1), row: $0.int64(2), hash: $0.int64(3)) }
            guard let lastItem = items.last else { break }
            done = lastItem.row
            _ = tail.add(items)
            if items.count == Self.runEntries { try runOnce() }
        }
    }

    func start() {
        Thread.detachNewThread { [self] in
            while !isStopping.load(ordering: .acquiring) {
                _ = wake.wait(timeout: .now() + Self.runInterval)
                do { try runOnce() } catch { log.error("index_failed", ["error": .string("\(error)")]) }
            }
            ended.signal()
        }
    }

    /// Says that many entries wait.
    func runSoon() { wake.signal() }

    /// Indexes what waits and ends the thread.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wake.signal()
        ended.wait()
        handedOver.value.close()
    }

    /// One run over what waits; on the indexer's thread once `start` was called.
    func runOnce() throws {
        let connection = handedOver.value
        guard let (entries, watermark) = tail.beginIndexing() else { return }
        try connection.transaction {
            let insert = try connection.prepare("INSERT INTO x (i, r, h) VALUES (?, ?, ?)")
            for conversation in entries.keys.sorted() {
                guard let run = entries[conversation] else { continue }
                for offset in run.rows.indices {
                    let key = LogSchema.indexKey(conversation: conversation, sequence: run.first + offset)
                    try insert.bind(key, at: 1)
                    try insert.bind(run.rows[offset], at: 2)
                    try insert.bind(run.hashes[offset], at: 3)
                    try insert.run()
                }
            }
            try connection.run("UPDATE watermark SET r = ?", watermark)
        }
        tail.endIndexing()
    }
}
