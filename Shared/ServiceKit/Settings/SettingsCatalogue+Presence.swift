/// The settings of the presence service.
extension SettingsCatalogue {
    static let presence: [any SettingDeclaration] = [
        presenceListen, presenceURL, presenceAdvertiseURL, presenceLeaveGrace, presenceDrainGrace,
        presenceGatewaySilence,
        presenceLease, presenceUsersMax, presenceGatewaysMax, presenceHistoryMax, presenceCoalescing,
        presenceAgentCapacity, presenceQueueMax, presenceConversationsMax, presenceAgentGrace, presenceFirstResponse,
        presenceQueueInterval,
    ]

    package static let presenceListen = Setting.address(
        "presence.listen",
        default: HostPort(host: "127.0.0.1", port: 6003),
        "the address that presence listens on"
    )

    package static let presenceURL = Setting.url(
        "presence.url",
        default: BaseURL(HostPort(host: "127.0.0.1", port: 6003)),
        "where other services reach presence: with several instances a name or a proxy that leads to all of them"
    )

    package static let presenceAdvertiseURL = Setting.optionalURL(
        "presence.advertise_url",
        shown: "http:// and presence.listen",
        "where other instances of presence reach this one, with the store in Redis"
    )

    package static let presenceLeaveGrace = Setting.duration(
        "presence.leave_grace_ms",
        default: 5000,
        in: 0...600_000,
        "from a user's last connection until they have left; coming back in time makes no news"
    )

    package static let presenceDrainGrace = Setting.duration(
        "presence.drain_grace_ms",
        default: 30_000,
        in: 0...600_000,
        "the same, when their gateway had announced that it drains"
    )

    package static let presenceGatewaySilence = Setting.duration(
        "presence.gateway_silence_ms",
        default: 10_000,
        in: 1000...600_000,
        "how long a gateway may be silent before all its users count as dropped"
    )

    package static let presenceLease = Setting.duration(
        "presence.lease_ms",
        default: 2000,
        in: 100...60_000,
        "how long gateways may use a location they have looked up"
    )

    package static let presenceUsersMax = Setting.integer(
        "presence.users_max",
        default: 200_000,
        in: 1...10_000_000,
        "users online at once; a further one is refused, and the gateway told"
    )

    package static let presenceGatewaysMax = Setting.integer(
        "presence.gateways_max",
        default: 256,
        in: 1...10_000,
        "registered gateways; a further one is answered 503"
    )

    package static let presenceHistoryMax = Setting.integer(
        "presence.history_max",
        default: 10_000,
        in: 100...1_000_000,
        "changes kept for gateways that fall behind; who needs an older one loads everything again"
    )

    package static let presenceCoalescing = Setting.duration(
        "presence.coalescing_ms",
        default: 50,
        in: 0...5000,
        "how long changes are gathered before waiting gateways are told"
    )

    package static let presenceAgentCapacity = Setting.integer(
        "presence.agent_capacity",
        default: 5,
        in: 1...1000,
        "conversations at once of an agent whose account does not say; only what agents take themselves may exceed it"
    )

    package static let presenceQueueMax = Setting.integer(
        "presence.queue_max",
        default: 10_000,
        in: 1...1_000_000,
        "conversations that wait for an agent; a new one past it is answered 503 and asked for again"
    )

    package static let presenceConversationsMax = Setting.integer(
        "presence.conversations_max",
        default: 100_000,
        in: 1...10_000_000,
        "conversations that wait or have an agent, all kept in memory; a new one past it is answered 503"
    )

    package static let presenceAgentGrace = Setting.duration(
        "presence.agent_grace_ms",
        default: 60_000,
        in: 0...86_400_000,
        "from the last frame heard of an agent until their conversations go to the front of the queue"
    )

    package static let presenceFirstResponse = Setting.duration(
        "presence.first_response_ms",
        default: 120_000,
        in: 0...86_400_000,
        "how long an agent may leave a customer unanswered before another one is looked for; 0: for ever"
    )

    package static let presenceQueueInterval = Setting.duration(
        "presence.queue_interval_ms",
        default: 500,
        in: 0...60_000,
        "the least span between two states of the queue that gateways are told"
    )

    static let presenceRelations: [Relation] = [
        { settings in
            let lease = settings[presenceLease]
            guard lease >= settings[presenceGatewaySilence] else { return nil }
            return .init(key: presenceLease.key, value: "\(lease)", rule: "below presence.gateway_silence_ms")
        },
        { settings in
            let grace = settings[presenceDrainGrace]
            guard grace < settings[presenceLeaveGrace] else { return nil }
            return .init(key: presenceDrainGrace.key, value: "\(grace)", rule: "at least presence.leave_grace_ms")
        },
        { settings in
            let waiting = settings[presenceQueueMax]
            guard waiting > settings[presenceConversationsMax] else { return nil }
            return .init(key: presenceQueueMax.key, value: "\(waiting)", rule: "at most presence.conversations_max")
        },
    ]
}
