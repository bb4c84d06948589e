import Contracts
import Core

/// Presence: its own state machine, killed and started empty at will.
struct SimulatedPresence {
    /// Short beside the other spans, so that a world sees many of them end.
    static let lease = 800
    static let silenceMax: Milliseconds = 2500

    private(set) var state: PresenceState
    private(set) var epoch = 1
    /// Who is online, by the news alone.
    private var online: Set<String> = []
    private(set) var faults: [String] = []
    private let bug: PlantedBug?
    /// By registration, the last event that was applied.
    private var applied: [Int: Int] = [:]

    init(now: Moment, bug: PlantedBug?) {
        self.bug = bug
        state = Self.start(now)
    }

    private static func start(_ now: Moment) -> PresenceState {
        var limits = PresenceState.Limits()
        // The simulation's clock jumps; a process that stood still is not what it is about.
        limits.stallMin = .max
        limits.gatewaySilenceMax = silenceMax
        return PresenceState(limits: limits, firstRegistration: Int(now.monotonic) * 1000, now: now)
    }

    mutating func restart(now: Moment) {
        state = Self.start(now)
        epoch += 1
        online = []
        applied = [:]
    }

    mutating func heartbeat(
        _ gatewayID: String,
        incarnation: Int,
        connections: Int,
        draining: Bool,
        now: Moment
    ) -> GatewayRegistration? {
        let number = try? state.heartbeat(
            gatewayID,
            url: gatewayID,
            incarnation: "\(incarnation)",
            connections: connections,
            draining: draining,
            now: now
        )
        return GatewayRegistration(
            presenceEpoch: "p\(epoch)",
            registration: number,
            gateways: state.registry.registrations.map {
                GatewayPeer(gatewayID: $0.gatewayID, url: $0.url, registration: $0.number, draining: $0.draining)
            },
            leaseMilliseconds: Self.lease
        )
    }

    /// - Returns: Whether the batch was taken; else everything has to be announced again.
    mutating func take(_ batch: PresenceEvents, now: Moment) -> Bool {
        let events = batch.events.compactMap(Self.event)
        var first = batch.first
        if bug == .lateLeave, let last = applied[batch.registration], first <= last { first = last + 1 }
        let result = try? state.apply(
            events,
            from: batch.gatewayID,
            registration: batch.registration,
            first: first,
            now: now
        )
        guard let result else { return false }
        applied[batch.registration] = result.acceptedThrough
        follow(result.news)
        return true
    }

    private static func event(_ event: PresenceEvent) -> PresenceState.Event? {
        switch event.kind {
        case .announceBegin: .announceBegin
        case .announceEnd: .announceEnd
        case .join:
            event.userID.map {
                .join(.init(userID: $0, userName: $0, userType: event.userType ?? .customer))
            }
        case .leave: event.userID.map { .leave(userID: $0) }
        }
    }

    func locate(_ userIDs: [String]) -> Locations {
        var locations: [String: [String]] = [:]
        for userID in userIDs { locations[userID] = state.gateways(of: userID) }
        return Locations(locations: locations, leaseMilliseconds: Self.lease)
    }

    mutating func pass(to now: Moment) { follow(state.advance(now: now).news) }

    private mutating func follow(_ news: [PresenceNews]) {
        for item in news {
            let userID = item.identity.userID
            switch item.kind {
            case .joined: if !online.insert(userID).inserted { faults.append("\(userID) joined twice") }
            case .left: if online.remove(userID) == nil { faults.append("\(userID) left twice") }
            case .status: break
            }
        }
    }
}
