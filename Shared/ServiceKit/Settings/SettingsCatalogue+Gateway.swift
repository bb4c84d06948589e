/// The settings of the gateway service.
extension SettingsCatalogue {
    static let gateway: [any SettingDeclaration] = [
        gatewayListen, gatewayID, gatewayURL, gatewayConnectionsMax, gatewayConnectionsPerAddress,
        gatewayConnectionsPerUser, gatewayMessageRate, gatewayMessageBurst, gatewayFrameBytesMax,
        gatewayOutboundBytesMax, gatewayPingInterval, gatewayHeartbeatInterval, gatewayCommitInterval,
        gatewayDrainSpread, gatewaySyncTimeout, gatewayPresenceInterval, gatewaySessionWarning,
        gatewaySweepInterval, gatewayHandshakeRate,
    ]

    package static let gatewayListen = Setting.address(
        "gateway.listen",
        default: HostPort(host: "127.0.0.1", port: 6004),
        "the address that the gateway listens on"
    )

    package static let gatewayID = Setting.optionalString(
        "gateway.id",
        bytes: 1...64,
        shown: "the host's name and the port of gateway.listen",
        "this gateway's name among others, which no two may share"
    )

    package static let gatewayURL = Setting.optionalURL(
        "gateway.url",
        shown: "http:// and gateway.listen, or the host's name if it listens on all addresses",
        "where other gateways reach this one"
    )

    package static let gatewaySweepInterval = Setting.duration(
        "gateway.sweep_interval_ms",
        default: 30_000,
        in: 100...3_600_000,
        "with several gateways: how often each looks again for entries that it was not told of"
    )

    package static let gatewayHandshakeRate = Setting.integer(
        "gateway.handshakes_per_second",
        default: 2000,
        in: 1...1_000_000,
        "WebSockets opened in a second, more get 503 and when to come again"
    )

    package static let gatewayConnectionsMax = Setting.integer(
        "gateway.connections_max",
        default: 0,
        in: 0...1_000_000,
        "WebSockets in all, more get 503; 0: the open-file limit less 500"
    )

    package static let gatewayConnectionsPerAddress = Setting.integer(
        "gateway.connections_per_address",
        default: 1000,
        in: 1...1_000_000,
        "WebSockets from one address (IPv6: network of 64 bits), more get 429"
    )

    package static let gatewayConnectionsPerUser = Setting.integer(
        "gateway.connections_per_user",
        default: 10,
        in: 1...1000,
        "WebSockets of one user, one more closes the oldest"
    )

    package static let gatewayMessageRate = Setting.integer(
        "gateway.message_rate",
        default: 200,
        in: 1...10_000_000,
        "frames a second of one connection, after the burst; beyond it is read more slowly"
    )

    package static let gatewayMessageBurst = Setting.integer(
        "gateway.message_burst",
        default: 2000,
        in: 1...100_000_000,
        "frames of one connection at once"
    )

    package static let gatewayFrameBytesMax = Setting.integer(
        "gateway.frame_bytes_max",
        default: 128 * 1024,
        in: 64 * 1024...16 << 20,
        "largest frame taken, in bytes; a larger one closes with 1009"
    )

    package static let gatewayOutboundBytesMax = Setting.integer(
        "gateway.outbound_bytes_max",
        default: 1 << 20,
        in: 256 * 1024...64 << 20,
        "bytes that wait for one client; beyond it closes with 1013"
    )

    package static let gatewayPingInterval = Setting.integer(
        "gateway.ping_interval_ms",
        default: 25_000,
        in: 100...3_600_000,
        "milliseconds between the server's pings; 2.5 of them without a sign of life close with 4408"
    )

    package static let gatewayHeartbeatInterval = Setting.integer(
        "gateway.heartbeat_interval_ms",
        default: 30_000,
        in: 1000...3_600_000,
        "milliseconds between heartbeats that clients are told to send"
    )

    package static let gatewayCommitInterval = Setting.integer(
        "gateway.commit_interval_ms",
        default: 1,
        in: 0...1000,
        "least milliseconds between two commits of the message log; more makes larger batches"
    )

    package static let gatewayDrainSpread = Setting.duration(
        "gateway.drain_spread_ms",
        default: 3000,
        in: 0...60_000,
        "over which time sockets are closed when the gateway stops"
    )

    package static let gatewaySyncTimeout = Setting.integer(
        "gateway.sync_timeout_ms",
        default: 10_000,
        in: 100...600_000,
        "milliseconds that a client which has said sync=1 has for its Sync; then it counts as empty"
    )

    package static let gatewayPresenceInterval = Setting.duration(
        "gateway.presence_interval_ms",
        default: 500,
        in: 10...60_000,
        "between two batches of presence news to agents"
    )

    package static let gatewaySessionWarning = Setting.integer(
        "gateway.session_warning_s",
        default: 300,
        in: 1...86_400,
        "seconds before a session ends that its clients are told, if nothing has lengthened it by then"
    )
}
