import Core
import Glibc
import Net
import ServiceKit

/// The gateway's settings, in the types that its parts take.
struct GatewayConfig: Sendable {
    /// Descriptors kept for everything but WebSockets: files, HTTP connections, other services.
    private static let reservedDescriptors = 500

    let limits: GatewayLimits
    let handshakesPerSecond: Int
    /// Where the message log lies.
    let store: StoreLocation
    let commitIntervalMilliseconds: Int
    let gatewayID: String
    let url: String
    let drainSpread: Duration
    let presenceInterval: Duration

    /// Whether other gateways may have the same log: with a file of SQLite's none can.
    var isLogShared: Bool {
        if case .redis = store { true } else { false }
    }

    init(_ settings: Settings) {
        var limits = GatewayLimits(connectionsMax: settings[SettingsCatalogue.gatewayConnectionsMax])
        if limits.connectionsMax == 0 { limits.connectionsMax = Self.openFileLimit - Self.reservedDescriptors }
        limits.connectionsPerAddressMax = settings[SettingsCatalogue.gatewayConnectionsPerAddress]
        limits.connectionsPerUserMax = settings[SettingsCatalogue.gatewayConnectionsPerUser]
        limits.messagesPerSecond = settings[SettingsCatalogue.gatewayMessageRate]
        limits.messagesBurst = settings[SettingsCatalogue.gatewayMessageBurst]
        limits.frameBytesMax = settings[SettingsCatalogue.gatewayFrameBytesMax]
        limits.outboundBytesMax = settings[SettingsCatalogue.gatewayOutboundBytesMax]
        limits.pingMilliseconds = settings[SettingsCatalogue.gatewayPingInterval]
        limits.syncMilliseconds = settings[SettingsCatalogue.gatewaySyncTimeout]
        limits.heartbeatMilliseconds = settings[SettingsCatalogue.gatewayHeartbeatInterval]
        limits.sessionWarningMilliseconds = Int64(settings[SettingsCatalogue.gatewaySessionWarning]) * 1000
        limits.sweepMilliseconds = settings[SettingsCatalogue.gatewaySweepInterval].wholeMilliseconds
        self.limits = limits
        store = settings[SettingsCatalogue.store]
        handshakesPerSecond = settings[SettingsCatalogue.gatewayHandshakeRate]
        commitIntervalMilliseconds = settings[SettingsCatalogue.gatewayCommitInterval]
        let listen = settings[SettingsCatalogue.gatewayListen]
        gatewayID = settings[SettingsCatalogue.gatewayID] ?? Self.name(of: listen)
        url = (settings[SettingsCatalogue.gatewayURL] ?? Self.url(of: listen)).description
        drainSpread = settings[SettingsCatalogue.gatewayDrainSpread]
        presenceInterval = settings[SettingsCatalogue.gatewayPresenceInterval]
    }

    /// A name that gateways on one host, and in containers of one image, do not share.
    private static func name(of listen: HostPort) -> String {
        let host = hostName.map { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) ? $0 : "-" }
        return "\(String(host).prefix(50))-\(listen.port)"
    }

    /// Where it listens; behind an address that is every address, by the host's name.
    private static func url(of listen: HostPort) -> BaseURL {
        let isEvery = ["0.0.0.0", "::"].contains(listen.host)
        return BaseURL(isEvery ? HostPort(host: hostName, port: listen.port) : listen)
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static var openFileLimit: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
