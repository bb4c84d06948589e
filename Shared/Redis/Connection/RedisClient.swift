package import Net

/// A client of one server: one connection on one loop, made anew whenever it ends.
///
/// It begins to connect at once; commands wait for that as they do after a lost connection.
package final class RedisClient: RedisSending {
    package let loop: EventLoop
    private let node: LoopBound<RedisNode>

    /// - Parameters:
    ///   - url: The first of its servers is meant.
    ///   - loop: Where the client lives, until `shutDown`.
    ///   - configuration: Limits and times.
    package init(_ url: RedisURL, loop: EventLoop, configuration: RedisConfiguration = RedisConfiguration()) {
        self.loop = loop
        let node = RedisNode(url.endpoints[0], url, loop: loop, configuration: configuration)
        let bound = LoopBound(handing: node, to: loop)
        self.node = bound
        loop.submit { bound.value.start() }
    }

    package func send(_ command: RedisCommand, then completion: @escaping RedisCompletion) {
        node.value.send(command, then: completion)
    }

    package func shutDown() async {
        await node.onLoop { $0.shutDown() }
    }
}
