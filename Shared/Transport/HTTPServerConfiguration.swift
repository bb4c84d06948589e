package import HTTP
package import Net

/// How an `HTTPServer` listens, and what it lets its clients take.
package struct HTTPServerConfiguration: Sendable {
    /// Where to listen; port 0 lets the kernel choose.
    package var address: SocketAddress
    /// What a request's head may cost.
    package var limits = HTTPLimits()
    /// Largest request body in bytes, as counted on arrival; a larger one is 413.
    ///
    /// Handlers set tighter limits with
    /// `RequestBody.collect(upTo:)`. The default takes a 50 MiB file as base64 in JSON.
    package var bodyBytesMax = 128 << 20
    /// Open HTTP connections; one more is answered 503 and closed.
    package var connectionsMax = 16_384
    /// Input that waits in a connection while its handler does not ask for it, in bytes; at it, reading stops.
    package var inputBytesMax = 64 * 1024
    /// How much of a body that the handler left unread is read and dropped to keep the connection; beyond, it closes.
    package var drainBytesMax = 64 * 1024
    /// Time for a request's head to arrive, from its first byte (the first request's: from the connection's accept);
    /// then 408, or a silent close if not a byte came.
    package var headerTimeout = Duration.seconds(10)
    /// Time between two pieces of a body that the handler waits for; then 408.
    package var bodyIdleTimeout = Duration.seconds(30)
    /// Time between two requests; then the connection closes.
    package var keepAliveTimeout = Duration.seconds(75)
    /// Time in which a client takes nothing of a response; then the connection closes.
    package var writeStallTimeout = Duration.seconds(60)
    /// How long a closed connection is read on, so that the last answer is not lost to a reset.
    package var lingerTimeout = Duration.seconds(5)
    /// How much is read then, in bytes: as much as somebody may be sending without having looked for an answer.
    package var lingerBytesMax = 64 << 20
    /// Peers whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    package var trustedProxies = TrustedProxies()

    package init(address: SocketAddress) { self.address = address }
}
