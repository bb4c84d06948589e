import Core

/// What happens to uploads that nobody goes on with.
extension PartialUploads {
    /// How often expired uploads are looked for, in milliseconds.
    static let sweepInterval: Int64 = 60_000
    /// Sweeps from one look for what was left to the next one.
    static let sweepsPerRepair = 60
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

    /// Brings rows and files together, while other instances work.
    ///
    /// An upload's row is stored while its file is there and held, so a row without a file is one that was left, or is
    /// about to go; a file without a row that nobody holds as well.
    func repair() async throws -> Findings {
        var findings = Findings()
        let open = try await index.openUploads()
        let names = try await files.blobs.partialFiles()
        for id in open.subtracting(names) where try await index.removeUpload(id) { findings.uploadsRemoved += 1 }
        for name in names.subtracting(open) where try await removeLeft(name) { findings.filesRemoved += 1 }
        return findings
    }

    private func removeLeft(_ name: String) async throws -> Bool {
        let file = files.blobs.makePartialFile(name)
        do {
            guard try await file.hold(), try await index.upload(name)?.state != .open else { return false }
        } catch FilesError.fileNotFound {
            return false
        }
        try await file.remove()
        return true
    }

    /// Sweeps until the task is cancelled, and now and then looks for what failed removals have left.
    func keepUp() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            do {
                try await sweep()
                if number.isMultiple(of: Self.sweepsPerRepair) { _ = try await repair() }
            } catch {
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
            let file = table.file(id)
            do { guard try await file.hold() else { return } } catch FilesError.fileNotFound {
                // It has no bytes any more.
            }
            // Another instance may have received a part since.
            guard try await index.markRemoved(id, at: clock.now()) else { return await file.close() }
            try await file.remove()
            table.forget(id)
            isRemoved = true
        }
        return isRemoved
    }
}
