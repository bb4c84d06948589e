import Contracts
import Core
import ServiceKit

/// The owner of presence's state: every route and the sweep go through here, one after the other.
///
/// News is numbered by the feed inside the same turn that made it, so the feed's order is the state's.
actor Presence {
    /// Users whose id begins so are not stored: their ids are never used again, so their rows would only pile up.
    static let guestPrefix = "guest-"
    /// The most users with a stored status other than `online`.
    static let statusesMax = 100_000
    /// The most `last_seen` times waiting to be stored; while the store fails, further ones are dropped.
    static let departuresMax = 10_000

    nonisolated let feed: ChangeFeed
    nonisolated let leaseMilliseconds: Int
    private var state: PresenceState
    private let store: any StatusStore
    private let log: Log
    private let metrics: PresenceMetrics
    private let clock: @Sendable () -> Moment
    /// Tells routing of agents, in order; must not wait.
    private let tellRouting: @Sendable ([AgentNews]) -> Void
    /// `last_seen` of users who have left, not yet stored.
    private var departures: [String: Timestamp] = [:]
    private var statusOrder = StatusOrder()
    private var statusLimit = StatusLimit()

    init(
        _ state: PresenceState,
        feed: ChangeFeed,
        store: any StatusStore,
        leaseMilliseconds: Int,
        log: Log,
        metrics: PresenceMetrics,
        clock: @escaping @Sendable () -> Moment,
        tellRouting: @escaping @Sendable ([AgentNews]) -> Void
    ) {
        self.state = state
        self.feed = feed
        self.store = store
        self.leaseMilliseconds = leaseMilliseconds
        self.log = log
        self.metrics = metrics
        self.clock = clock
        self.tellRouting = tellRouting
    }

    // MARK: - Gateways

    /// Registers a gateway, or hears from it again.
    func heartbeat(_ gatewayID: String, _ announcement: GatewayAnnouncement) throws -> GatewayRegistration {
        let before = state.registry.gateway(gatewayID)?.number
        let number = try state.heartbeat(
            gatewayID,
            url: announcement.url,
            incarnation: announcement.incarnation,
            connections: announcement.connections,
            draining: announcement.draining,
            now: clock()
        )
        tellRouting(state.table.takeAgentNews())
        metrics.gateways.set(state.registry.count)
        if number != before {
            log.info(
                number == nil ? "gateway_drained" : "gateway_registered",
                ["gateway_id": .string(gatewayID), "registration": .int(number ?? before ?? 0)]
            )
        }
        let peers = state.registry.registrations.map {
            GatewayPeer(gatewayID: $0.gatewayID, url: $0.url, registration: $0.number, draining: $0.draining)
        }
        return GatewayRegistration(
            presenceEpoch: feed.epoch,
            registration: number,
            gateways: peers,
            leaseMilliseconds: leaseMilliseconds
        )
    }

    /// Applies a batch of a gateway's events.
    func apply(
        _ events: [PresenceState.Event],
        from gatewayID: String,
        registration: Int,
        first: Int
    ) throws -> PresenceEventsAnswer {
        let result: PresenceState.Applied
        do {
            result = try state.apply(events, from: gatewayID, registration: registration, first: first, now: clock())
        } catch {
            metrics.batchesRefused.increment()
            log.warning(
                "events_refused",
                [
                    "gateway_id": .string(gatewayID), "registration": .int(registration), "first": .int(first),
                    "error": .string("\(error)"),
                ]
            )
            throw error
        }
        metrics.eventsApplied.increment(by: result.applied)
        metrics.eventsRepeated.increment(by: events.count - result.applied)
        publish(result.news)
        if !result.refused.isEmpty {
            metrics.usersRefused.increment(by: result.refused.count)
            log.error("users_max_reached", ["refused": .int(result.refused.count)])
        }
        return PresenceEventsAnswer(
            acceptedThrough: result.acceptedThrough,
            refused: result.refused.isEmpty ? nil : result.refused
        )
    }

    /// Where users have connections.
    func locate(_ userIDs: [String]) -> Locations {
        let locations = Dictionary(userIDs.map { ($0, state.gateways(of: $0)) }) { first, _ in first }
        return Locations(locations: locations, leaseMilliseconds: leaseMilliseconds)
    }

    /// Everyone online, a page at a time, with the feed's version that the page shows.
    func snapshot(type: UserType?, after cursor: String?, limit: Int) -> PresenceSnapshot {
        let now = clock()
        let page = Page(state.table.page(type: type, after: cursor, limit: limit + 1), limit: limit)
        return PresenceSnapshot(
            epoch: feed.epoch,
            next: feed.version,
            settled: state.isSettled(now: now),
            users: page.people.map { $0.document(now: now.wall) },
            nextCursor: page.nextCursor
        )
    }

    // MARK: - People

    /// The users online that the caller may see: an agent everyone, a customer agents.
    func list(for caller: Caller, type: UserType?, after cursor: String?, limit: Int) -> Page {
        if caller.userType == .agent {
            return Page(state.table.page(type: type, after: cursor, limit: limit + 1), limit: limit)
        }
        guard type != .customer else { return Page([], limit: limit) }
        return Page(state.table.page(type: .agent, after: cursor, limit: limit + 1), limit: limit)
    }

    /// The user, if online.
    func person(_ userID: String) -> PresenceTable.Person? { state.table.person(userID) }

    /// When a user who is not online was last there.
    func lastSeen(of userID: String) async throws -> Timestamp? {
        if let departure = departures[userID] { return departure }
        return try await store.lastSeen(of: userID)
    }

    /// Stores and shows a user's choice; nothing is done for one that they have made already.
    ///
    /// - Returns: The user, if online.
    /// - Throws: `PresenceError`, or what the store does.
    func setStatus(_ status: ChosenStatus, of userID: String) async throws -> PresenceTable.Person? {
        let isGuest = userID.hasPrefix(Self.guestPrefix)
        let former = state.table.chosenStatus(of: userID)
        let person = state.table.person(userID)
        let isSame = isGuest ? person?.status == status : former == status && statusOrder.isSettled(userID)
        if isSame { return person }
        try statusLimit.count(userID, now: clock().monotonic)
        if !isGuest {
            let isNew = status != .online && former == .online
            guard !isNew || state.table.statusCount < Self.statusesMax else { throw PresenceError.tooManyStatuses }
            let turn = statusOrder.begin()
            defer { statusOrder.end() }
            do {
                try await store.save(status, of: userID)
            } catch {
                statusOrder.noteStored(false, of: userID)
                throw error
            }
            statusOrder.noteStored(true, of: userID)
            guard statusOrder.isNewest(turn, of: userID) else { return state.table.person(userID) }
        }
        if let news = state.table.setStatus(status, of: userID, isKept: !isGuest, now: clock()) {
            publish([news])
        }
        return state.table.person(userID)
    }

    // MARK: - Time

    /// Lets time pass: silent gateways, graces that are over, long polls that have waited enough.
    ///
    /// - Returns: When something is due next, on the monotonic clock.
    func sweep() -> Milliseconds? {
        let now = clock()
        let (ended, news) = state.advance(now: now)
        for registration in ended {
            metrics.gatewaysLost.increment()
            log.warning(
                "gateway_silent",
                [
                    "gateway_id": .string(registration.gatewayID), "registration": .int(registration.number),
                ]
            )
        }
        metrics.gateways.set(state.registry.count)
        publish(news)
        feed.expire(now: now.monotonic)
        for item in news where item.kind == .left && !item.identity.userID.hasPrefix(Self.guestPrefix) {
            guard departures.count < Self.departuresMax else { break }
            departures[item.identity.userID] = item.lastSeen
        }
        return state.nextDeadline
    }

    /// Stores when users were last there; apart from the sweep, which a slow disk must not hold up.
    func storeDepartures() async {
        guard !departures.isEmpty else { return }
        let batch = departures
        do {
            try await store.record(lastSeen: batch)
        } catch {
            log.warning("last_seen_not_stored", ["users": .int(batch.count), "error": .string("\(error)")])
            return
        }
        for (userID, time) in batch where departures[userID] == time { departures[userID] = nil }
    }

    private func publish(_ news: [PresenceNews]) {
        tellRouting(state.table.takeAgentNews())
        feed.append(news)
        metrics.changes.increment(by: news.count)
        metrics.users.set(state.table.count)
    }
}
