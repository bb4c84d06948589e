import Core
import Net
import Redis
import ServiceKit
import Storage

extension ServiceCommand {
    /// The gateway's `import-sqlite`.
    static let importLog = ServiceCommand(
        importName,
        usage: importUsage,
        summary:
            "Puts the message log in DIR/gateway into the Redis that the setting store names, where none may be. The "
            + "gateway is stopped; the files stay as they are. Killed, it is run again, and goes on."
    ) { process, arguments in
        let (directory, url) = try process.importEnds(arguments)
        let core = LogImport.makeCore(url, loop: process.loops.next(), log: process.log)
        do {
            let source = try ImportSource(
                directory: LogFiles.directory(in: directory),
                scratch: process.settings[SettingsCatalogue.dataDirectory] + "/copies/gateway-import.db"
            )
            let work = LogImport(source: source, core: core, database: url.database) {
                process.output("gateway: \($0)\n")
            }
            try await work.run()
        } catch let refusal as ImportRefusal {
            throw CommandError("\(refusal)")
        } catch let error as StorageError {
            throw CommandError("\(error)")
        }
        await core.close()
    }
}
