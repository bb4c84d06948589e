import Core
import HTTP
import ServiceKit
import Storage
import Transport

/// files: uploads, blobs and downloads over HTTP.
///
/// Settings: see `FilesConfig`. Exit status: 0 clean stop, 1 failed start or run, 2 bad configuration.
@main
enum FilesMain {
    static func main() async {
        await ServiceProcess.run("files", commands: [importCommand]) { process in
            // 1. Configuration.
            let address = SettingsCatalogue.filesListen
            let config = FilesConfig(process.settings)
            // 2. Store: opened, migrated and repaired before the port is bound.
            let blobs = try BlobStore(
                directory: config.directory,
                threads: config.diskThreads,
                sharing: config.sharing,
                freeBytesMin: config.freeBytesMin
            )
            let database = try await process.openDatabase(
                SQLiteFileIndex.databaseName,
                file: SQLiteFileIndex.databaseFile,
                migrations: SQLiteFileIndex.migrations,
                ownership: .exclusiveOwner(advice: "Another files service runs on this file; stop it first."),
                waitingAt: address
            )
            let index = SQLiteFileIndex(database)
            let files = FileStore(index: index, blobs: blobs, limits: config.limits, log: process.log)
            let slots = config.makeUploadSlots()
            let uploads = PartialUploads(files, index: index, slots: slots, log: process.log)
            await index.fillReserve()
            let collector = FileCollector(files, log: process.log, metrics: process.metrics)
            let urlKey = try await process.whenStoreAnswers(listeningAt: address) {
                try await blobs.exclusively {
                    try await StoreIdentity.check(index, blobs)
                    return try config.loadURLKey()
                }
            }
            collector.note(try await repair(process, files, uploads))
            // 3. Routes.
            let sessions = process.makeSessionVerifier()
            let authenticate: Authenticate = { request in
                let session = try await sessions.require(request)
                return Caller(
                    userID: session.userID,
                    userType: session.userType,
                    isAdmin: session.isAdmin,
                    network: ClientNetwork.key(of: request.remoteAddress)
                )
            }
            process.metrics.read("files_uploads_in_progress", help: "Uploads being received.") {
                Double(slots.inProgress)
            }
            var router = Router()
            router.mount(UploadRoutes(files, authenticate: authenticate, slots: slots, log: process.log))
            router.mount(TusRoutes(uploads, authenticate: authenticate, log: process.log))
            let signer = FileURLSigner(key: urlKey, lifetimeSeconds: config.urlLifetimeSeconds)
            router.mount(DownloadRoutes(files, authenticate: authenticate, signer: signer))
            router.mount(MetadataRoutes(files, authenticate: authenticate, log: process.log))
            router.mount(InternalRoutes(files))
            process.background("upload_sweep") { await uploads.keepUp() }
            process.background("collection") { await collector.keepUp() }
            // 4. Serve until the signal; the store is closed last.
            let checks = [
                HealthCheck("index") { try await files.index.ping() },
                HealthCheck("blobs") { try await files.blobs.checkWritable() },
                sessions.healthCheck,
            ]
            let server = try process.listen(at: address, router, checks: checks) {
                $0.bodyBytesMax = config.limits.bodyBytesMax
                $0.bodyIdleTimeout = FilesConfig.bodyIdleTimeout
            }
            try await process.untilSignal(server)
            await database.close()
        }
    }

    /// Removes what crashes have left.
    private static func repair(
        _ process: ServiceProcess,
        _ files: FileStore,
        _ uploads: PartialUploads
    ) async throws -> FileStore.Findings {
        let address = SettingsCatalogue.filesListen
        let findings = try await process.whenStoreAnswers(listeningAt: address) { try await files.repair() }
        let partialFindings = try await process.whenStoreAnswers(listeningAt: address) { try await uploads.repair() }
        process.log.info(
            "store_opened",
            [
                "temporary_files_removed": .int(findings.temporaryFilesRemoved),
                "blobs_removed": .int(findings.blobsRemoved), "blobs_missing": .int(findings.missing.count),
                "partial_files_removed": .int(partialFindings.filesRemoved),
                "partial_uploads_removed": .int(partialFindings.uploadsRemoved),
            ]
        )
        return findings
    }

    /// The blobs stay where they are, and have to be those of the database.
    private static let importCommand = ServiceCommand.importSQLite(
        SQLiteFileIndex.databaseName,
        file: SQLiteFileIndex.databaseFile,
        migrations: SQLiteFileIndex.migrations
    ) { process, database in
        try StoreIdentity.checkImport(of: database, blobs: FilesConfig(process.settings).directory)
    }
}
