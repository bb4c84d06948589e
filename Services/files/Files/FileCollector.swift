import Core
import ServiceKit
import Storage

/// Looks through the store now and then while it is used: what failed removals have left goes, what is missing is told.
///
/// A start does the same at once (`FileStore.repair`); this is for a service that runs for months. Of several instances
/// one does it at a time.
struct FileCollector: Sendable {
    /// From the end of one pass to the next one, in milliseconds; the first comes that long after the start.
    static let interval: Int64 = 3_600_000
    /// Between two of the 256 steps of a pass, in milliseconds, so that the disk is there for others.
    static let stepPause: Int64 = 250
    /// Blobs without a record are left alone until they are so old, in milliseconds.
    static let blobAgeMin: Int64 = 3_600_000
    /// Temporary files that nobody has written to for so long are nobody's, in milliseconds.
    static let temporaryAgeMin: Int64 = 86_400_000
    /// Missing blobs that a pass names in the log.
    static let namedMax = 10

    private let files: FileStore
    private let clock: FilesClock
    private let log: Log
    private let removed: Counter
    private let missing: Gauge

    init(_ files: FileStore, clock: FilesClock = FilesClock(), log: Log, metrics: Metrics) {
        self.files = files
        self.clock = clock
        self.log = log
        removed = metrics.counter("files_blobs_collected_total", help: "Blobs without a record that were removed.")
        missing = metrics.gauge(
            "files_blobs_missing",
            help: "Blobs that a record has and the disk had not when it was looked through last."
        )
    }

    /// Counts what was found.
    func note(_ findings: FileStore.Findings) {
        removed.increment(by: findings.blobsRemoved)
        missing.set(findings.missing.count)
    }

    /// Makes passes until the task is cancelled.
    func keepUp() async {
        while true {
            do {
                try await clock.sleep(Self.interval)
                let turn = try await files.blobs.lockCollection()
                report(try await collect())
                withExtendedLifetime(turn) {}
            } catch is CancellationError {
                return
            } catch StorageError.closed {
                return
            } catch StorageError.owned {
                // Another instance is at it.
            } catch {
                log.error("collection_failed", ["error": .string(String(reflecting: error))])
            }
        }
    }

    /// Makes one pass.
    func collect() async throws -> FileStore.Findings {
        var findings = FileStore.Findings()
        findings.temporaryFilesRemoved = try await files.blobs.removeTemporaryFiles(
            modifiedBefore: clock.now().advanced(byMilliseconds: -Self.temporaryAgeMin)
        )
        try await files.emptyTrash(&findings)
        for shard in BlobStore.shards {
            let bound = clock.now().advanced(byMilliseconds: -Self.blobAgeMin)
            try await files.collect(shard: shard, modifiedBefore: bound, &findings)
            try await clock.sleep(Self.stepPause)
        }
        note(findings)
        return findings
    }

    private func report(_ findings: FileStore.Findings) {
        if findings.blobsRemoved + findings.temporaryFilesRemoved > 0 {
            log.info(
                "store_collected",
                [
                    "temporary_files_removed": .int(findings.temporaryFilesRemoved),
                    "blobs_removed": .int(findings.blobsRemoved),
                ]
            )
        }
        guard !findings.missing.isEmpty else { return }
        log.error(
            "blobs_missing",
            [
                "count": .int(findings.missing.count),
                "sha256": .string(findings.missing.prefix(Self.namedMax).joined(separator: " ")),
            ]
        )
    }
}
