import ServiceKit

/// Presence's settings, as its parts take them.
struct PresenceConfig: Sendable {
    let listen: HostPort
    /// The SQLite file of statuses and last times.
    let databasePath: String
    let limits: PresenceState.Limits
    let leaseMilliseconds: Int
    let historyMax: Int
    let coalescing: Duration

    /// - Throws: `SettingsError` when the store is one that presence cannot use.
    init(_ settings: Settings) throws(SettingsError) {
        let store = settings[SettingsCatalogue.store]
        guard case .sqlite(let directory) = store else {
            throw SettingsError(
                problems: [
                    .init(key: SettingsCatalogue.store.key, value: store.description, rule: "must be sqlite:DIR")
                ]
            )
        }
        databasePath = "\(directory)/presence.sqlite"
        listen = settings[SettingsCatalogue.presenceListen]
        limits = PresenceState.Limits(
            leaveGrace: settings[SettingsCatalogue.presenceLeaveGrace].milliseconds,
            drainGrace: settings[SettingsCatalogue.presenceDrainGrace].milliseconds,
            gatewaySilenceMax: settings[SettingsCatalogue.presenceGatewaySilence].milliseconds,
            usersMax: settings[SettingsCatalogue.presenceUsersMax],
            gatewaysMax: settings[SettingsCatalogue.presenceGatewaysMax]
        )
        leaseMilliseconds = Int(settings[SettingsCatalogue.presenceLease].milliseconds)
        historyMax = settings[SettingsCatalogue.presenceHistoryMax]
        coalescing = settings[SettingsCatalogue.presenceCoalescing]
    }
}

extension Duration {
    fileprivate var milliseconds: Milliseconds { Milliseconds(self / .milliseconds(1)) }
}
