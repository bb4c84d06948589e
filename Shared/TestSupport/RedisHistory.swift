import Net
import Redis
import RedisStorage
package import Storage

/// The history of a database in a real Redis of one test's own, which can be left without room.
package final class RedisHistory: Sendable {
    package let server: RedisServer
    package let log: any ChangeLog
    private let loops: EventLoopGroup
    private let client: RedisClient

    /// Starts a server; the history is empty.
    package init() async throws {
        server = try await RedisServer()
        loops = try EventLoopGroup(count: 1)
        client = RedisClient(
            RedisURL(server.endpoint),
            loop: loops.next(),
            configuration: RedisChangeLog.configuration(name: "tests", log: nil)
        )
        log = RedisChangeLog(name: "history", client: client)
    }

    /// Ends the server, after all that uses it.
    package func end() async {
        await client.shutDown()
        loops.shutDown()
        server.kill()
    }
}

extension RedisServer {
    /// Why there is no setting how much room there is.
    package struct Unsettable: Error {}

    /// Lets the server have so many bytes more than it has now: none with 0; `nil`, as many as it likes.
    package func leaveRoom(_ bytes: Int?) async throws {
        var limit = "0"
        if let bytes {
            let memory = await answer("INFO", "memory")?.text ?? ""
            guard let used = memory.firstMatch(of: /used_memory:(\d+)/).flatMap({ Int($0.1) }) else {
                throw Unsettable()
            }
            // What clients have of it comes and goes.
            limit = bytes == 0 ? "1" : String(used + bytes)
        }
        guard await answer("CONFIG", "SET", "maxmemory", limit)?.text == "OK" else { throw Unsettable() }
    }
}
