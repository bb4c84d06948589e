import Core
import Crypto
import ServiceKit

/// Presence's settings, as its parts take them.
struct PresenceConfig: Sendable {
    let limits: PresenceState.Limits
    let leaseMilliseconds: Int
    let historyMax: Int
    let coalescing: Duration
    let routingLimits: RoutingTable.Limits
    /// The least span between two queues shown to gateways.
    let queueInterval: Milliseconds

    /// Where the other instances reach this one.
    let url: BaseURL

    /// - Throws: `SettingsError` when other instances could not reach this one.
    init(_ settings: Settings) throws(SettingsError) {
        let listen = settings[SettingsCatalogue.presenceListen]
        let advertised = settings[SettingsCatalogue.presenceAdvertiseURL]
        let isShared = if case .redis = settings[SettingsCatalogue.store] { true } else { false }
        guard !isShared || advertised != nil || (listen.port > 0 && !["0.0.0.0", "::"].contains(listen.host)) else {
            throw SettingsError(
                problems: [
                    .init(
                        key: SettingsCatalogue.presenceAdvertiseURL.key,
                        value: "",
                        rule: "must be given: the store is Redis, and presence.listen (\(listen)) is not one address"
                    )
                ]
            )
        }
        url = advertised ?? BaseURL(listen)
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
        routingLimits = RoutingTable.Limits(
            agentCapacity: settings[SettingsCatalogue.presenceAgentCapacity],
            queueMax: settings[SettingsCatalogue.presenceQueueMax],
            conversationsMax: settings[SettingsCatalogue.presenceConversationsMax],
            agentGrace: settings[SettingsCatalogue.presenceAgentGrace].milliseconds,
            // So long after a start not every gateway may have said who is there.
            startGrace: limits.gatewaySilenceMax,
            firstResponse: settings[SettingsCatalogue.presenceFirstResponse].milliseconds
        )
        queueInterval = settings[SettingsCatalogue.presenceQueueInterval].milliseconds
    }

    /// The first registration number of a process started at `time`.
    ///
    /// A thousand numbers a millisecond: no earlier process can have come as far.
    func firstRegistration(at time: Timestamp) -> Int { Int(time.milliseconds) * 1000 }

    /// Routing as the store has it.
    func makeRouting(
        _ store: any RoutingStore,
        feed: ChangeFeed,
        log: Log,
        metrics: RoutingMetrics
    ) async throws -> Routing {
        let table = RoutingTable(limits: routingLimits, live: try await store.liveConversations(), now: .now()) {
            "r-" + SecureRandom.token(bytes: 12)
        }
        return Routing(
            table,
            store: store,
            feed: feed,
            queueInterval: queueInterval,
            log: log,
            metrics: metrics,
            clock: { Moment.now() }
        )
    }

    /// An empty feed with an epoch of its own.
    func makeFeed() -> ChangeFeed {
        let coalescing = coalescing
        let history = ChangeHistory(epoch: SecureRandom.token(bytes: 12), changesMax: historyMax)
        return ChangeFeed(history, now: { Moment.now().monotonic }) {
            // A request that was cancelled meanwhile need not be gathered for.
            try? await Task.sleep(for: coalescing)
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Milliseconds { Milliseconds(self / .milliseconds(1)) }
}
