/// All that presence knows, as one pure state machine: gateways, who is where, and when something is due.
///
/// Nothing of it outlives the process: after a restart the gateways announce it again (invariant 6, rule R3). A
/// simulation can drive it with clocks and messages of its own making.
struct PresenceState: Sendable {
    /// The spans and bounds that the service is run with.
    struct Limits: Sendable, Equatable {
        /// From a drop until the user has left.
        var leaveGrace: Milliseconds = 5000
        /// The same, when the gateway had announced that it drains.
        var drainGrace: Milliseconds = 30_000
        /// How long a gateway may be silent.
        var gatewaySilenceMax: Milliseconds = 10_000
        /// A longer span between two `advance` means that this process itself stood still.
        var stallMin: Milliseconds = 2000
        var usersMax = 200_000
        var gatewaysMax = 256
    }

    /// One event of a batch.
    enum Event: Sendable, Equatable {
        case announceBegin
        case announceEnd
        case join(PresenceTable.Identity)
        /// - Parameter silent: How long nothing had been heard of the user.
        case leave(userID: String, silent: Milliseconds = 0)
    }

    /// What a batch came to.
    struct Applied: Equatable {
        let acceptedThrough: Int
        let applied: Int
        /// Users for whom the table has no room.
        let refused: [String]
        let news: [PresenceNews]
    }

    let limits: Limits
    private(set) var registry: GatewayRegistry
    var table: PresenceTable
    private let startedAt: Milliseconds
    private var advancedAt: Milliseconds

    init(
        limits: Limits = Limits(),
        statuses: [String: ChosenStatus] = [:],
        firstRegistration: Int,
        now: Moment
    ) {
        self.limits = limits
        registry = GatewayRegistry(
            firstNumber: firstRegistration,
            silenceMax: limits.gatewaySilenceMax,
            gatewaysMax: limits.gatewaysMax
        )
        table = PresenceTable(usersMax: limits.usersMax, statuses: statuses)
        startedAt = now.monotonic
        advancedAt = now.monotonic
    }

    /// When `advance` next has something to do.
    var nextDeadline: Milliseconds? {
        [registry.nextDeadline, table.nextDeadline].compactMap { $0 }.min()
    }

    /// Whether every gateway has had the time to announce itself since the start.
    ///
    /// Until then, not being here does not mean being offline.
    func isSettled(now: Moment) -> Bool { now.monotonic >= startedAt + limits.gatewaySilenceMax }

    /// Takes a gateway's heartbeat.
    ///
    /// - Returns: Its registration's number, `nil` when it is drained and so not registered.
    mutating func heartbeat(
        _ gatewayID: String,
        url: String,
        incarnation: String,
        connections: Int,
        draining: Bool,
        now: Moment
    ) throws(PresenceError) -> Int? {
        let (number, ended) = try registry.heartbeat(
            gatewayID,
            url: url,
            incarnation: incarnation,
            connections: connections,
            draining: draining,
            now: now.monotonic
        )
        if let ended { detachAll(ended, now: now) }
        return number
    }

    /// Applies a batch of a gateway's events: each one once, in order, or none.
    mutating func apply(
        _ events: [Event],
        from gatewayID: String,
        registration number: Int,
        first: Int,
        now: Moment
    ) throws(PresenceError) -> Applied {
        let admission = try registry.admit(
            gatewayID,
            registration: number,
            first: first,
            count: events.count,
            beginsAnnouncement: events.first == .announceBegin,
            now: now.monotonic
        )
        let grace = registry.registration(number).map(graceAfter) ?? limits.leaveGrace
        var news: [PresenceNews] = []
        var refused: [String] = []
        for event in events.dropFirst(admission.duplicates) {
            switch event {
            case .announceBegin: table.beginAnnouncement(of: number)
            case .announceEnd: table.endAnnouncement(of: number, grace: grace, now: now)
            case .leave(let userID, let silent):
                table.detach(userID, from: number, grace: grace, silent: silent, now: now)
            case .join(let identity):
                switch table.attach(identity, to: number, now: now) {
                case .known: break
                case .joined(let item): news.append(item)
                case .refused: refused.append(identity.userID)
                }
            }
        }
        return Applied(
            acceptedThrough: admission.acceptedThrough,
            applied: events.count - admission.duplicates,
            refused: refused,
            news: news
        )
    }

    /// Where the user has connections; empty when nowhere.
    func gateways(of userID: String) -> [String] {
        let numbers = table.person(userID)?.registrations ?? []
        return numbers.compactMap { registry.registration($0)?.gatewayID }.sorted()
    }

    /// Lets time pass: ends silent gateways and graces that are over.
    mutating func advance(now: Moment) -> (ended: [GatewayRegistry.Registration], news: [PresenceNews]) {
        let span = now.monotonic - advancedAt
        advancedAt = now.monotonic
        if span >= limits.stallMin {
            registry.postpone(by: span)
            table.postpone(by: span)
        }
        let ended = registry.expire(now: now.monotonic)
        for registration in ended { detachAll(registration, now: now) }
        return (ended, table.expire(now: now))
    }

    // MARK: -

    private mutating func detachAll(_ registration: GatewayRegistry.Registration, now: Moment) {
        let silent = now.monotonic - registration.heardAt
        table.detachAll(from: registration.number, grace: graceAfter(registration), silent: silent, now: now)
    }

    private func graceAfter(_ registration: GatewayRegistry.Registration) -> Milliseconds {
        registration.draining ? limits.drainGrace : limits.leaveGrace
    }
}
