import Net
import Redis
import RedisStorage
package import Storage

extension ServiceProcess {
    /// Opens the service's own database where the setting `store` says: a file, or a copy of what all instances of the
    /// service share in Redis.
    ///
    /// - Parameters:
    ///   - name: The database's, unique among the services.
    ///   - file: Its file's name, with `store=sqlite:DIR`.
    ///   - migrations: Every step ever released, oldest first.
    ///   - ownership: Who else may have that file open; copies belong to one process each in any case.
    /// - Throws: What opening throws.
    package func openDatabase(
        _ name: String,
        file: String,
        migrations: [Migration],
        ownership: Database.Ownership = .shared
    ) async throws -> Database {
        let url: RedisURL
        switch settings[SettingsCatalogue.store] {
        case .sqlite(let directory):
            return try await Database.open(
                path: "\(directory)/\(file)",
                migrations: migrations,
                ownership: ownership
            )
        case .redis(let redis): url = redis
        }
        let client = RedisCluster(
            url,
            loop: loops.next(),
            configuration: RedisChangeLog.configuration(name: self.name, log: log)
        )
        return try await Database.openCopy(
            in: settings[SettingsCatalogue.dataDirectory] + "/copies",
            name: name,
            migrations: migrations,
            log: RedisChangeLog(name: name, client: client)
        )
    }
}
