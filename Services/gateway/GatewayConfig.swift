import Core
import Glibc
import Net
import ServiceKit

/// The gateway's settings, in the types that its parts take.
struct GatewayConfig: Sendable {
    /// Descriptors kept for everything but WebSockets: files, HTTP connections, other services.
    private static let reservedDescriptors = 500

    let limits: GatewayLimits
    /// Where the message log lies.
    let store: StoreLocation
    let commitIntervalMilliseconds: Int
    let gatewayID: String
    let url: String
    let drainSpread: Duration
    let presenceInterval: Duration

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
        self.limits = limits
        store = settings[SettingsCatalogue.store]
        commitIntervalMilliseconds = settings[SettingsCatalogue.gatewayCommitInterval]
        gatewayID = settings[SettingsCatalogue.gatewayID]
        url = settings[SettingsCatalogue.gatewayURL]
        drainSpread = settings[SettingsCatalogue.gatewayDrainSpread]
        presenceInterval = settings[SettingsCatalogue.gatewayPresenceInterval]
    }

    private static var openFileLimit: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }
}
