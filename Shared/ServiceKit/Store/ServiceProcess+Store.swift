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
    ///   - address: Where the service will listen, which waits for Redis (`whenStoreAnswers`); left out by commands,
    ///     which fail.
    /// - Throws: What opening throws.
    package func openDatabase(
        _ name: String,
        file: String,
        migrations: [Migration],
        ownership: Database.Ownership = .shared,
        waitingAt address: Setting<HostPort>? = nil
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
        let history = RedisChangeLog(name: name, client: client)
        let directory = settings[SettingsCatalogue.dataDirectory] + "/copies"
        let open = { @Sendable in
            try await Database.openCopy(in: directory, name: name, migrations: migrations, log: history)
        }
        guard let address else { return try await open() }
        return try await whenStoreAnswers(listeningAt: address, open)
    }
}
