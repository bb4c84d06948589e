/// Limits and intervals of a gateway's connections.
struct GatewayLimits: Sendable {
    /// Largest frame taken from a client, in bytes: 10,000 characters of four bytes, escaped, and the other fields.
    var frameBytesMax = 128 * 1024
    /// Most bytes that wait for a client that does not read.
    var outboundBytesMax = 1 << 20
    /// A connection's messages a second, and after how many at once.
    var messagesPerSecond = 200
    var messagesBurst = 2000
    /// Messages over all connections of a loop that the log has not answered.
    ///
    /// Beyond it, connections that send are read no further until their own are answered: bounds memory when a disk
    /// stalls.
    var unansweredMax = 200_000
    /// Connections in all, and from one address.
    var connectionsMax: Int
    var connectionsPerAddressMax = 1000
    /// Connections of one user; the next closes the oldest.
    var connectionsPerUserMax = 10
    /// How often the server pings; a connection silent for 2.5 of these is closed.
    var pingMilliseconds = 25_000
    /// How soon after an entry a ping follows that finds out whether it was taken.
    var deliveryPingMilliseconds = 1000
    /// How long a client that has said `sync=1` has for its `Sync`.
    var syncMilliseconds = 10_000
    /// Conversations that a connection may come by while it is open; beyond it it has to connect again.
    var newConversationsMax = 20_000
    /// What `Welcome` tells clients.
    var heartbeatMilliseconds = 30_000
    /// How long before a session ends its clients are told.
    var sessionWarningMilliseconds: Int64 = 300_000
    /// Reads of the log that a loop has under way.
    var readsMax = 128
    /// How often everybody's heads are read, with several gateways.
    var sweepMilliseconds: Int64 = 30_000
    /// Conversations that `Welcome` lists.
    var welcomeHeadsMax = 1000
}
