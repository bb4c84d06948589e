/// Moving the write-ahead log into the file (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>).
extension Connection {
    /// How far a checkpoint goes.
    package enum CheckpointMode: String {
        /// As far as it can without waiting for anybody.
        case passive = "PASSIVE"
        /// All of it, waiting for writers and readers up to the busy time-out, so that the log starts over.
        case restart = "RESTART"
        /// As `restart`, and the log's file is cut to nothing.
        case truncate = "TRUNCATE"
    }

    /// What a checkpoint found and did, in pages.
    package struct CheckpointResult: Sendable, Equatable {
        /// Whether somebody's lock kept it from finishing.
        package let wasBlocked: Bool
        /// Pages in the log.
        package let logPages: Int
        /// How many of them are now in the file.
        package let checkpointedPages: Int
    }

    /// Checkpoints the write-ahead log.
    @discardableResult
    package func checkpoint(_ mode: CheckpointMode = .passive) throws -> CheckpointResult {
        let result = try first("PRAGMA wal_checkpoint(\(mode.rawValue))") {
            CheckpointResult(wasBlocked: $0.bool(0), logPages: $0.int(1), checkpointedPages: $0.int(2))
        }
        return result ?? CheckpointResult(wasBlocked: true, logPages: 0, checkpointedPages: 0)
    }
}
