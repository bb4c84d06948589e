package import Net
package import Transport

/// A service's HTTP server, listening.
package struct ListeningServer: Sendable {
    package let server: HTTPServer
    /// Where it listens, with the port that the system chose if it was 0.
    package let address: SocketAddress
}
