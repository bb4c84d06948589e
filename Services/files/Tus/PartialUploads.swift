import Core
import HTTP
import ServiceKit

/// Uploads that come in parts, from their creation to the file that they become.
///
/// The file is made and held before the row is stored, so that a row always has its file; and the blob has its name
/// before the row says that there is a file. A crash at any point leaves an upload that goes on where its file ends, or
/// nothing. Any instance takes any part: whoever holds the file (`PartialFile.hold`) reads row and offset then.
struct PartialUploads: Sendable {
    /// How an upload stands.
    struct Progress: Sendable {
        var upload: PartialUpload
        /// Bytes that are on the disk and count.
        var offset: Int
        /// The file that the request in hand has made of it.
        var record: FileRecord?
    }

    /// What one request brings.
    struct Part: Sendable {
        var offset: Int
        var checksum: TusChecksum?
        var body: RequestBody
    }

    /// How long who asks for the offset waits for a part's end, in milliseconds.
    static let askWaitMax: Int64 = 500
    /// Between two attempts to hold a file that another instance holds, in milliseconds.
    static let holdInterval: Int64 = 20

    let files: FileStore
    let index: any PartialUploadIndex
    let clock: FilesClock
    let log: Log
    let leases: UploadLeases
    let table: PartialFileTable
    private let slots: UploadSlots

    /// - Parameters:
    ///   - files: Where whole uploads go.
    ///   - index: The same database as the files'.
    ///   - slots: The uploads that go on at once, whatever way they come.
    ///   - clock: For expiry and for requests that wait for one another.
    ///   - log: For what no client is told.
    init(
        _ files: FileStore,
        index: any PartialUploadIndex,
        slots: UploadSlots,
        clock: FilesClock = FilesClock(),
        log: Log
    ) {
        self.files = files
        self.index = index
        self.slots = slots
        self.clock = clock
        self.log = log
        leases = UploadLeases(clock: clock)
        table = PartialFileTable(files.blobs)
    }

    // MARK: - Requests

    /// Begins an upload of `length` bytes; one of none is complete at once.
    ///
    /// - Throws: `FilesError.tooLarge`, `.quotaExceeded`, `.storageFull` when the disk has no room for it now,
    ///   `.tooManyUnfinishedUploads`.
    func create(length: Int, metadata: TusMetadata, by caller: Caller) async throws -> Progress {
        let limits = files.limits
        guard length <= limits.fileBytesMax else {
            throw FilesError.tooLarge(name: "Upload-Length", bytesMax: limits.fileBytesMax)
        }
        guard try await length <= files.blobs.freeBytes() else { throw FilesError.storageFull }
        let upload = PartialUpload(
            id: FileRecord.makeID(),
            uploaderID: caller.userID,
            length: length,
            metadata: metadata.text,
            document: metadata.document,
            createdAt: clock.now(),
            expiresAt: makeExpiry()
        )
        let file = table.file(upload.id)
        do {
            try await file.create(as: files.blobs.makeTemporaryPath())
            try await index.insert(upload, within: limits)
        } catch {
            table.forget(upload.id)
            try await file.remove()
            throw error
        }
        do {
            try await files.blobs.synchronizePartialFiles()
            var progress = Progress(upload: upload, offset: 0)
            if length == 0 { progress = try await complete(upload, file) }
            await file.close()
            return progress
        } catch {
            await discard(upload.id)
            throw error
        }
    }

    /// The same with the upload's first bytes; if they fail nothing is left, since the client knows no id.
    func create(
        length: Int,
        metadata: TusMetadata,
        by caller: Caller,
        first body: RequestBody,
        checksum: TusChecksum?
    ) async throws -> Progress {
        guard body.announcedLength ?? 0 <= length else { throw FilesError.tooLarge(name: "body", bytesMax: length) }
        let created = try await create(length: length, metadata: metadata, by: caller)
        guard length > 0 else { return created }
        do {
            return try await receive(Part(offset: 0, checksum: checksum, body: body), of: created.upload.id, by: caller)
        } catch {
            await discard(created.upload.id)
            throw error
        }
    }

    /// How far an upload is.
    ///
    /// Who asks while a part is received may be its client, come back before its broken connection was noticed: it is
    /// told an offset that stays, if the part ends within `askWaitMax`, and else the present one.
    ///
    /// - Throws: `FilesError.fileNotFound`, `.uploadExpired`, `.uploadLocked` while the last bytes become a file.
    func progress(_ id: String, of caller: Caller) async throws -> Progress {
        _ = try await find(id, of: caller)
        do {
            let deadline = clock.monotonicMilliseconds() + Self.askWaitMax
            return try await leases.with(id, waitMax: Self.askWaitMax) { lease in
                try await holding(id, of: caller, until: deadline) { upload, file in
                    guard upload.state == .open else { return Progress(upload: upload, offset: upload.length) }
                    let offset = try await file.offset()
                    let progress = Progress(upload: upload, offset: min(offset, upload.verifiedLength ?? offset))
                    guard progress.offset == upload.length else { return progress }
                    // All of it is there, but it was not recorded: the client would take it for done.
                    let part = Part(offset: progress.offset, body: .empty)
                    return try await receive(part, of: upload, by: caller, into: file, lease)
                }
            }
        } catch FilesError.uploadLocked {
            let progress: Progress
            do {
                progress = try await standing(id, of: caller)
            } catch FilesError.fileNotFound {
                // It has become a file between the looks at its row and at its bytes.
                progress = try await standing(id, of: caller)
            }
            guard progress.upload.state != .open || progress.offset < progress.upload.length else {
                throw FilesError.uploadLocked
            }
            return progress
        }
    }

    /// Takes the next bytes of an upload, and makes a file of it when they are the last.
    ///
    /// What has arrived counts however the request ends, unless it brought a checksum.
    ///
    /// - Throws: `FilesError.fileNotFound`, `.uploadExpired`, `.uploadLocked`, `.offsetMismatch`, `.tooLarge`,
    ///   `.checksumMismatch`, `.storageFull` or what the file may not be (the upload is removed then), and what the
    ///   body throws.
    func receive(_ part: Part, of id: String, by caller: Caller) async throws -> Progress {
        // Before the lease too: nobody disturbs the uploads of others.
        _ = try await find(id, of: caller)
        let deadline = clock.monotonicMilliseconds() + UploadLeases.waitMax
        return try await leases.with(id) { lease in
            try await holding(id, of: caller, until: deadline) { upload, file in
                try await receive(part, of: upload, by: caller, into: file, lease)
            }
        }
    }

    /// Ends an upload; the file that it has become goes as well.
    ///
    /// Another instance that receives a part of it finds that it is over when it would record that.
    ///
    /// - Throws: `FilesError.fileNotFound`, `.uploadExpired`, `.uploadLocked`.
    func terminate(_ id: String, by caller: Caller) async throws {
        _ = try await find(id, of: caller)
        try await leases.with(id, takesOver: true) { _ in
            let upload = try await find(id, of: caller)
            if upload.state == .open, try await remove(id) { return }
            // It may have become a file just now, or somebody else has ended it.
            guard try await find(id, of: caller).state == .complete else { throw FilesError.fileNotFound }
            _ = try await files.remove(id, by: caller)
        }
    }

    // MARK: - Parts

    /// The whole upload is none that may become a file, and never will be: more than its type may be, or than the
    /// limits let in since they were lowered.
    private struct Refusal: Error {
        let reason: FilesError
    }

    private static func check(_ part: Part, offset: Int, length: Int) throws(FilesError) {
        guard part.offset == offset else { throw .offsetMismatch(offset: offset) }
        guard part.body.announcedLength ?? 0 <= length - offset else {
            throw .tooLarge(name: "body", bytesMax: length - offset)
        }
    }

    /// Runs `body` with what the row says while nobody else, in any instance, writes to the upload's file.
    ///
    /// A complete upload has none.
    private func holding(
        _ id: String,
        of caller: Caller,
        until deadline: Int64,
        _ body: (PartialUpload, PartialFile) async throws -> Progress
    ) async throws -> Progress {
        let file = table.file(id)
        do {
            while try await !file.hold() {
                guard clock.monotonicMilliseconds() < deadline else { throw FilesError.uploadLocked }
                try await clock.sleep(Self.holdInterval)
            }
        } catch FilesError.fileNotFound {
            let upload = try await find(id, of: caller)
            guard upload.state == .complete else { throw FilesError.fileNotFound }
            return try await body(upload, file)
        }
        do {
            let progress = try await body(try await find(id, of: caller), file)
            await file.close()
            return progress
        } catch {
            await file.close()
            throw error
        }
    }

    private func receive(
        _ part: Part,
        of upload: PartialUpload,
        by caller: Caller,
        into file: PartialFile,
        _ lease: UploadLeases.Lease
    ) async throws -> Progress {
        guard upload.state == .open else {
            try Self.check(part, offset: upload.length, length: upload.length)
            return Progress(upload: upload, offset: upload.length)
        }
        let offset = try await file.open(verifiedLength: upload.verifiedLength)
        try Self.check(part, offset: offset, length: upload.length)
        return try await slots.with(caller) { try await receive(part, of: upload, into: file, lease) }
    }

    private func receive(
        _ part: Part,
        of upload: PartialUpload,
        into file: PartialFile,
        _ lease: UploadLeases.Lease
    ) async throws -> Progress {
        await file.begin(checksum: part.checksum)
        do {
            if part.checksum != nil || upload.verifiedLength != nil {
                let verifiedLength = part.checksum == nil ? nil : part.offset
                try await index.update(upload.id, expiresAt: makeExpiry(), verifiedLength: verifiedLength)
            }
            let transfer = PartTransfer(
                body: part.body,
                bytesMax: upload.length - part.offset,
                file: file,
                lease: lease,
                leases: leases,
                yields: files.blobs.sharing == .instances
            )
            try await transfer.run()
            if let checksum = part.checksum { try await file.verify(checksum) }
            var progress = Progress(upload: upload, offset: try await file.synchronize())
            if progress.offset == upload.length {
                // The file becomes a blob, maybe of other records too: nobody may cut it back after a crash.
                if part.checksum != nil {
                    try await index.update(upload.id, expiresAt: makeExpiry(), verifiedLength: nil)
                }
                return try await complete(upload, file)
            }
            progress.upload.expiresAt = makeExpiry()
            try await index.update(upload.id, expiresAt: progress.upload.expiresAt, verifiedLength: nil)
            return progress
        } catch {
            try await giveUp(upload, file, error)
        }
    }

    /// Ends a part that failed, and the upload if nothing can come of it.
    private func giveUp(_ upload: PartialUpload, _ file: PartialFile, _ error: any Error) async throws -> Never {
        // Another instance has taken over: what is in the file is its own.
        guard await file.isHeld else { throw FilesError.uploadLocked }
        switch error {
        case FilesError.storageFull:
            // The room is given back; the client begins again when there is some.
            try await remove(upload.id)
        case let refusal as Refusal:
            try await remove(upload.id)
            throw refusal.reason
        default:
            try await file.rollBack()
            try await file.synchronize()
            do {
                try await index.update(upload.id, expiresAt: makeExpiry(), verifiedLength: nil)
            } catch FilesError.fileNotFound {
                // Another instance has ended the upload, or it is a file by now.
            }
        }
        throw error
    }

    /// Makes a file of an upload that has all its bytes.
    private func complete(_ upload: PartialUpload, _ file: PartialFile) async throws -> Progress {
        var summary: BlobWriter.Summary?
        while summary == nil { summary = try await file.summarize() }
        guard let summary else { throw FilesError.fileNotFound }
        try await file.synchronize()
        var upload = upload
        upload.state = .complete
        upload.expiresAt = makeExpiry()
        let record = files.makeRecord(upload.id, summary, upload.document, uploaderID: upload.uploaderID)
        let stored: FileRecord
        do {
            stored = try await files.store(record, from: file.path) { [upload] record, removals in
                try await index.complete(
                    record,
                    within: files.limits,
                    expiresAt: upload.expiresAt,
                    removals: removals
                )
            }
        } catch let error as FilesError {
            throw error.isAboutLimits ? Refusal(reason: error) : error
        }
        table.forget(upload.id)
        do { try await file.remove() } catch {
            // The next start removes it.
            log.warning("partial_file_left", ["file_id": .string(upload.id), "error": .string("\(error)")])
        }
        return Progress(upload: upload, offset: upload.length, record: stored)
    }

    // MARK: -

    /// What row and file say just now.
    private func standing(_ id: String, of caller: Caller) async throws -> Progress {
        let upload = try await find(id, of: caller)
        guard upload.state == .open else { return Progress(upload: upload, offset: upload.length) }
        let offset = try await table.file(id).offset()
        return Progress(upload: upload, offset: min(offset, upload.verifiedLength ?? offset))
    }

    private func find(_ id: String, of caller: Caller) async throws -> PartialUpload {
        guard FileRecord.isID(id), let upload = try await index.upload(id), upload.uploaderID == caller.userID else {
            throw FilesError.fileNotFound
        }
        guard upload.state != .removed, upload.expiresAt > clock.now() else { throw FilesError.uploadExpired }
        return upload
    }

    private func makeExpiry() -> Timestamp {
        clock.now().advanced(byMilliseconds: Int64(files.limits.uploadExpiry / .milliseconds(1)))
    }

    /// Removes bytes, then row: a row without a file answers 404, and goes at the next start.
    ///
    /// - Returns: Whether the upload was open until now.
    @discardableResult
    private func remove(_ id: String) async throws -> Bool {
        try await table.file(id).remove()
        table.forget(id)
        return try await index.removeUpload(id)
    }

    private func discard(_ id: String) async {
        do { try await remove(id) } catch {
            log.warning("upload_left", ["file_id": .string(id), "error": .string("\(error)")])
        }
    }
}
