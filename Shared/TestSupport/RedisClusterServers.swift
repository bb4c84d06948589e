package import Redis

/// A real cluster of three primaries without replicas, each with a third of the slots.
package final class RedisClusterServers: Sendable {
    package let servers: [RedisServer]

    /// Starts them, and waits until each knows that all slots are served.
    package init() async throws {
        var servers: [RedisServer] = []
        for _ in 0..<3 {
            servers.append(
                // A slot whose primary is away must not take the others with it, or the node's tests test nothing else.
                try await RedisServer(
                    ["--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"],
                    isClustered: true
                )
            )
        }
        self.servers = servers
        for (index, server) in servers.enumerated() {
            let (first, last) = (index * HashSlot.count / 3, (index + 1) * HashSlot.count / 3 - 1)
            _ = try await server.answers([
                RedisCommand("CLUSTER", "ADDSLOTSRANGE", .integer(first), .integer(last)),
                RedisCommand("CLUSTER", "SET-CONFIG-EPOCH", .integer(index + 1)),
            ])
        }
        for server in servers.dropFirst() {
            // The cluster's port is no fixed distance from the server's.
            let busPort = await server.answer("CONFIG", "GET", "cluster-port")?["cluster-port"]?.text ?? ""
            _ = await servers[0].answer("CLUSTER", "MEET", "127.0.0.1", "\(server.port)", busPort)
        }
        for server in servers {
            let isWhole = await eventually {
                let info = await server.answer("CLUSTER", "INFO")?.text ?? ""
                let slots = await server.answer("CLUSTER", "SLOTS")?.elements ?? []
                return info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") && slots.count == 3
                    && info.contains("cluster_slots_assigned:16384")
            }
            if !isWhole { throw RedisServer.Failure.silent(server.log) }
        }
    }

    /// Ends them all.
    package func kill() { for server in servers { server.kill() } }

    /// A URL with all of them.
    package var url: RedisURL {
        get throws { try RedisURL("redis://" + servers.map(\.endpoint.description).joined(separator: ",")) }
    }

    /// Which server has a slot at the start.
    package func owner(of slot: Int) -> RedisServer {
        servers[(0..<3).first { slot < ($0 + 1) * HashSlot.count / 3 } ?? 2]
    }

    /// Begins to move a slot: keys that are not there any more are asked for at the target.
    package func beginMove(_ slot: Int, to target: RedisServer) async {
        let source = owner(of: slot)
        _ = await target.answer("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", await id(of: source))
        _ = await source.answer("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", await id(of: target))
    }

    /// Moves a key of a slot that is being moved.
    package func moveKey(_ key: String, to target: RedisServer) async {
        _ = await owner(of: HashSlot.of(key)).answer("MIGRATE", "127.0.0.1", "\(target.port)", key, "0", "5000")
    }

    /// Ends the move of a slot: its former server answers `MOVED`.
    package func endMove(_ slot: Int, to target: RedisServer) async {
        let id = await id(of: target)
        for server in [target] + servers.filter({ $0 !== target }) {
            _ = await server.answer("CLUSTER", "SETSLOT", "\(slot)", "NODE", id)
        }
    }

    private func id(of server: RedisServer) async -> String { await server.answer("CLUSTER", "MYID")?.text ?? "" }
}
