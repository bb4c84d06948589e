import Glibc
import Net
import Redis
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

    /// One server for the whole run.
    private actor SharedServer {
        static let only = SharedServer()
        private var server: RedisServer?
        private var client: RedisClient?
        private var starting: Task<(RedisServer, RedisClient), any Error>?

        func log(name: String) async throws -> RedisChangeLog {
            if starting == nil {
                starting = Task {
                    let server = try await RedisServer()
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
            return RedisChangeLog(name: name, client: started.1)
        }
    }
}
