package import Core

/// How a client connects and waits, and what may wait in it.
package struct RedisConfiguration: Sendable {
    /// What `CLIENT LIST` shows us as; no spaces.
    package var clientName: String?
    /// Loaded on each primary when it is connected to.
    package var libraries: [RedisLibrary] = []
    /// For the name, the TCP connection and the greeting together.
    package var connectTimeout: Duration = .seconds(3)
    /// From sending a command to its answer; from connecting on when it waited for that.
    ///
    /// One that gets none in time closes the connection with all that is in
    /// flight on it, since later answers would be taken for other commands'.
    package var commandTimeout: Duration = .seconds(5)
    /// For how long after a connection's end commands wait for the next one; after that they fail at once.
    package var patience: Duration = .seconds(2)
    /// Commands without an answer, to one server.
    package var commandsMax = 16_384
    /// The same in bytes, as encoded.
    package var commandBytesMax = 64 << 20
    /// Between attempts to connect.
    package var pauses = ReconnectState.Pauses()
    /// Of answers.
    package var limits = RESPLimits()
    /// Gets a line when a server is reached and when it is lost.
    package var log: Log?

    package init() {}
}
