import Crypto
import Net
package import Redis
import RedisStorage
package import Storage

extension ServiceCommand {
    /// What imports are called on every command line.
    package static let importName = "import-sqlite"
    /// The arguments of imports.
    package static let importUsage = "--from DIR"

    /// The command `import-sqlite`: begins the history of the service's database in Redis with its SQLite file.
    ///
    /// - Parameters:
    ///   - name: The database's, unique among the services (`ServiceProcess.openDatabase`).
    ///   - file: Its file's name in `--from`.
    ///   - migrations: Every step ever released, oldest first.
    ///   - check: Looks at the file before anything is done.
    package static func importSQLite(
        _ name: String,
        file: String,
        migrations: [Migration],
        check: @escaping @Sendable (ServiceProcess, Connection) throws -> Void = { _, _ in }
    ) -> ServiceCommand {
        ServiceCommand(
            importName,
            usage: importUsage,
            summary:
                "Puts what DIR/\(file) holds into the Redis that the setting store names, where nothing of \(name) "
                + "may be. The service is stopped; the file stays as it is."
        ) { process, arguments in
            let (directory, url) = try process.importEnds(arguments)
            let client = RedisCluster(
                url,
                loop: process.loops.next(),
                configuration: RedisChangeLog.configuration(name: process.name, log: process.log)
            )
            let work = HistoryImport(
                path: "\(directory)/\(file)",
                migrations: migrations,
                log: RedisChangeLog(name: name, client: client)
            )
            process.output("\(name): reading \(directory)/\(file)\n")
            let summary: HistoryImport.Summary
            do {
                summary = try await work.run(
                    scratch: "\(process.settings[SettingsCatalogue.dataDirectory])/copies/\(name)-import.db",
                    token: { "import-" + Hex.encode(Array(SHA256.hash($0).prefix(16))) },
                    check: { try check(process, $0) }
                )
            } catch let refusal as ImportRefusal {
                throw CommandError("\(refusal)")
            } catch let error as StorageError {
                throw CommandError("\(error)")
            }
            await client.shutDown()
            for table in summary.tables { process.output("\(name): \(table.name): \(table.rows)\n") }
            let what = summary.isNew ? "imported" : "was imported before, and has not changed since"
            process.output("\(name): \(what) (\(summary.bytes) bytes)\n")
        }
    }
}

extension ServiceProcess {
    /// Where an import reads, and what it fills.
    ///
    /// - Parameter arguments: The command's.
    /// - Throws: `CommandError`.
    package func importEnds(_ arguments: [String]) throws(CommandError) -> (directory: String, target: RedisURL) {
        let directory = try CommandArguments(arguments, valued: ["--from"]).required("--from")
        guard case .redis(let url) = settings[SettingsCatalogue.store] else {
            throw CommandError("the setting store must be redis://…: it is where the import goes")
        }
        return (directory, url)
    }
}
