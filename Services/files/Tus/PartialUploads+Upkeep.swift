import Core

/// What happens to uploads that nobody goes on with.
extension PartialUploads {
    /// How often expired uploads are looked for, in milliseconds.
    static let sweepInterval: Int64 = 60_000
    /// How long an expired upload answers 410 and not 404, in milliseconds.
    static let removedKept: Int64 = 86_400_000
    /// Uploads looked at in one step.
    static let sweptMax = 100

    /// What `repair` found.
    struct Findings: Sendable, Equatable {
        /// Files without an unfinished upload.
        var filesRemoved = 0
        /// Unfinished uploads without a file.
        var uploadsRemoved = 0
    }

    /// Brings rows and files together; before the first request.
    func repair() async throws -> Findings {
        let found = try await files.blobs.removePartialFiles(except: try await index.openUploads())
        for id in found.missing { try await index.removeUpload(id) }
        return Findings(filesRemoved: found.removed, uploadsRemoved: found.missing.count)
    }

    /// Sweeps until the task is cancelled.
    func keepUp() async {
        while !Task.isCancelled {
            do { try await sweep() } catch {
                guard !Task.isCancelled else { return }
                log.error("upload_sweep_failed", ["error": .string(String(reflecting: error))])
            }
            do { try await clock.sleep(Self.sweepInterval) } catch { return }
        }
    }

    /// Removes the bytes of uploads that have expired, but for those that are being written to, and later their rows.
    func sweep() async throws {
        var hasMore = true
        while hasMore {
            let expired = try await index.expiredUploads(at: clock.now(), countMax: Self.sweptMax)
            var removed = 0
            for id in expired where try await removeExpired(id) { removed += 1 }
            // Those that are left are being written to.
            hasMore = expired.count == Self.sweptMax && removed > 0
        }
        let bound = clock.now().advanced(byMilliseconds: -Self.removedKept)
        while try await index.removeUploads(expiredBefore: bound, countMax: Self.sweptMax) == Self.sweptMax {}
    }

    private func removeExpired(_ id: String) async throws -> Bool {
        var isRemoved = false
        try await leases.ifFree(id) {
            // A part may have come in the meantime.
            guard let upload = try await index.upload(id), upload.state == .open, upload.expiresAt <= clock.now() else {
                return
            }
            try await table.file(id).remove()
            table.forget(id)
            try await index.markRemoved(id)
            isRemoved = true
        }
        return isRemoved
    }
}
