import Core
import HTTP

/// Writes a request's body to the upload's file as it arrives, until its end or until another request takes over.
struct PartTransfer: Sendable {
    let body: RequestBody
    /// What is missing of the upload.
    let bytesMax: Int
    let file: PartialFile
    let lease: UploadLeases.Lease
    let leases: UploadLeases
    /// Whether other instances may take over while nothing arrives.
    let yields: Bool

    /// - Throws: `FilesError.uploadLocked` when another request has taken over, here or in another instance;
    ///   `.tooLarge` at the first piece that goes past the upload's end; what the body and the file throw.
    func run() async throws {
        let outcome = await withTaskGroup(of: Result<Void, any Error>?.self) { group in
            group.addTask {
                do { return .success(try await copy()) } catch { return .failure(error) }
            }
            group.addTask {
                for await _ in lease.interruption {}
                return nil
            }
            if yields {
                group.addTask {
                    await yieldWhileIdle()
                    return nil
                }
            }
            var outcome: Result<Void, any Error>?
            for await result in group {
                outcome = result ?? outcome
                // The interruption ends the wait for bytes; the body's end ends the wait for an interruption.
                group.cancelAll()
            }
            return outcome
        }
        try await file.resume()
        do { try outcome?.get() } catch is CancellationError {
            throw Problem.badRequest("body: the connection has ended")
        }
    }

    /// Until it is cancelled.
    private func yieldWhileIdle() async {
        while !Task.isCancelled {
            let untilIdle = leases.untilIdle(lease)
            if untilIdle <= 0 {
                // What fails here fails who writes, too.
                try? await file.yield()
            }
            do { try await leases.clock.sleep(untilIdle > 0 ? untilIdle : UploadLeases.idleMax) } catch { return }
        }
    }

    private func copy() async throws {
        var gathered: [UInt8] = []
        var count = 0
        do {
            try await body.forEachChunk { piece in
                leases.touch(lease)
                guard piece.count <= bytesMax - count else {
                    throw FilesError.tooLarge(name: "body", bytesMax: bytesMax)
                }
                count += piece.count
                gathered += piece
                guard gathered.count >= BlobWriter.pieceBytes else { return }
                try await file.append(gathered)
                gathered.removeAll(keepingCapacity: true)
            }
        } catch {
            // Who takes over has been told an offset without what is gathered here.
            if lease.isInterrupted { throw FilesError.uploadLocked }
            try await flush(gathered)
            throw error
        }
        // A wait that was cancelled may look like the body's end.
        if lease.isInterrupted, count != body.announcedLength { throw FilesError.uploadLocked }
        try await flush(gathered)
    }

    private func flush(_ gathered: [UInt8]) async throws {
        if !gathered.isEmpty { try await file.append(gathered) }
    }
}
