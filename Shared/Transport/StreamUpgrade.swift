import HTTP
package import Net

/// Takes over a connection as a plain byte stream after the 101 answer.
package struct StreamUpgrade: ConnectionUpgrade {
    /// Called on the connection's loop; the descriptor is the callee's from then on.
    package let take: @Sendable (UpgradedConnection) -> Void
    /// Called on the loop in place of `take` when the client has gone meanwhile.
    package let abandoned: @Sendable () -> Void

    package init(
        take: @escaping @Sendable (UpgradedConnection) -> Void,
        abandoned: @escaping @Sendable () -> Void = {}
    ) {
        self.take = take
        self.abandoned = abandoned
    }
}

/// A connection that has left HTTP: not registered with its loop, its output not written yet.
package struct UpgradedConnection: Sendable {
    /// Non-blocking, close-on-exec; to be registered with `loop`, and closed by its new owner.
    package let descriptor: Int32
    package let loop: EventLoop
    /// What the client sent behind its request.
    package let received: [UInt8]
    /// The head of the 101 response, still to be sent.
    package let pendingOutput: [UInt8]
    /// The numeric address of the peer.
    package let peer: String
}
