import Core
import Crypto
import ServiceKit

/// Presence's settings, as its parts take them.
struct PresenceConfig: Sendable {
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

    /// The first registration number of a process started at `time`.
    ///
    /// A thousand numbers a millisecond: no earlier process can have come as far.
    func firstRegistration(at time: Timestamp) -> Int { Int(time.milliseconds) * 1000 }

    /// An empty feed with an epoch of its own.
    func makeFeed() -> ChangeFeed {
        let coalescing = coalescing
        return ChangeFeed(ChangeHistory(epoch: SecureRandom.token(bytes: 12), changesMax: historyMax)) {
            // A request that was cancelled meanwhile need not be gathered for.
            try? await Task.sleep(for: coalescing)
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Milliseconds { Milliseconds(self / .milliseconds(1)) }
}
