package import HTTP

/// An `HTTPClient`'s limits.
package struct HTTPClientConfiguration: Sendable {
    /// Open connections to one host and port; a long poll holds one.
    package var connectionsPerHostMax = 32
    /// Requests that wait for a connection to one host and port; one more fails at once.
    package var waitersPerHostMax = 1000
    /// Time for one address to take a connection.
    package var connectTimeout = Duration.seconds(2)
    /// How long an unused connection is kept: less than the server's keep-alive time-out.
    package var idleTimeout = Duration.seconds(20)
    /// How long a name's addresses are believed; a failed connection ends that at once.
    package var nameTimeout = Duration.seconds(30)
    /// What a response's head may cost.
    package var limits = HTTPLimits()

    package init() {}
}
