import Glibc
import Net
package import Redis
import RedisStorage
package import Storage

/// Where the databases of a test run are: in files, or with `STORE_ENGINE=redis` in copies of what a real Redis holds.
///
/// So one suite runs over both.
package enum StoreEngine {
    /// Whether the run is for Redis.
    package static let isRedis = getenv("STORE_ENGINE").map { String(cString: $0) } == "redis"

    /// Opens the database at `path`; a second time the same one, by another instance of its service.
    package static func open(_ path: String, migrations: [Migration]) async throws -> Database {
        guard isRedis else { return try await Database.open(path: path, migrations: migrations) }
        return try await Database.openCopy(
            in: path + ".copies",
            name: "copy",
            migrations: migrations,
            log: try await SharedServer.only.log(name: path)
        )
    }

    /// A part of the run's Redis for a message log: the same for the same path, of which there are some thousands.
    package static func redis(for path: String) async throws -> RedisURL {
        try await SharedServer.only.database(path)
    }

    /// One server for the whole run.
    private actor SharedServer {
        static let only = SharedServer()
        private var server: RedisServer?
        private var client: RedisClient?
        private var starting: Task<(RedisServer, RedisClient), any Error>?
        private var databases: [String: Int] = [:]

        func database(_ path: String) async throws -> RedisURL {
            let endpoint = try await start().0.endpoint
            // The first one is for change logs.
            let number = databases[path] ?? databases.count + 1
            databases[path] = number
            return try RedisURL("redis://\(endpoint)/\(number)")
        }

        func log(name: String) async throws -> RedisChangeLog {
            RedisChangeLog(name: name, client: try await start().1)
        }

        private func start() async throws -> (RedisServer, RedisClient) {
            if starting == nil {
                starting = Task {
                    let server = try await RedisServer(["--databases", "10000"])
                    let client = RedisClient(
                        RedisURL(server.endpoint),
                        loop: try EventLoopGroup(count: 1).next(),
                        configuration: RedisChangeLog.configuration(name: "tests", log: nil)
                    )
                    return (server, client)
                }
            }
            guard let started = try await starting?.value else { throw RedisServer.Failure.silent("") }
            (server, client) = started
            return started
        }
    }
}
