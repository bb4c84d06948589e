package import Net

/// A client of one server or of a cluster's primaries, whichever it finds: a connection to each, all on one loop.
///
/// Commands without a key go to any primary. Two commands on one key keep their order, but for the moment in which the
/// key's slot moves: there, whoever needs an order waits for the first one's answer.
package final class RedisCluster: RedisSending {
    package let loop: EventLoop
    private let router: LoopBound<ClusterRouter>

    /// - Parameters:
    ///   - url: One server, or some of a cluster's.
    ///   - loop: Where the client lives, until `shutDown`.
    ///   - configuration: Limits and times; those on commands count for each server.
    package init(_ url: RedisURL, loop: EventLoop, configuration: RedisConfiguration = RedisConfiguration()) {
        self.loop = loop
        let bound = LoopBound(handing: ClusterRouter(url, loop: loop, configuration: configuration), to: loop)
        router = bound
        loop.submit { bound.value.start() }
    }

    package func send(_ command: RedisCommand, then completion: @escaping RedisCompletion) {
        router.value.send(command, then: completion)
    }

    package func shutDown() async {
        await router.onLoop { $0.shutDown() }
    }
}
