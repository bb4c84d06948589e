import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Told of every connection that opens and closes.
protocol PresenceReporting: Sendable {
    func joined(_ identity: Identity)

    /// - Parameters:
    ///   - identity: Whose connection has closed.
    ///   - silentMilliseconds: How long nothing had been heard on it.
    func left(_ identity: Identity, silentMilliseconds: Int)
}

/// The gateway's side of presence: its registration, the events it reports, the news it follows.
///
/// Presence may be away: chat goes on, events gather (bounded), and everything is announced when it is back.
final class PresenceLink: PresenceReporting {
    private static let heartbeatInterval = Duration.seconds(2)
    private static let heartbeatIntervalMin = Duration.milliseconds(50)
    /// Joins and leaves gather so long, so that a storm of them is few requests.
    private static let gatherInterval = Duration.milliseconds(20)
    private static let retryInterval = Duration.milliseconds(250)
    /// How long presence holds a question for news, in seconds.
    private static let pollSeconds = 25

    /// How soon presence is asked again that has just started, and may not know everybody yet.
    private static let unsettledSeconds = 1
    /// The most users in one page of a snapshot.
    private static let snapshotMax = 10_000

    /// Takes what presence has to say.
    struct Takers: Sendable {
        /// Who has come, gone or changed, in order.
        let onChanges: @Sendable ([PresenceChange]) -> Void
        /// Routing decisions to be brought into the log.
        let onDecisions: @Sendable ([RoutingDecision]) -> Void
        /// The queue, when it has changed.
        let onQueue: @Sendable (WaitingQueue) -> Void
        /// Users for whom presence has no room: nobody would find them.
        let onRefused: @Sendable ([String]) -> Void
        /// Users whose joins presence has answered.
        var onJoined: @Sendable ([String]) -> Void = { _ in }
        /// The answer to a heartbeat, and a monotonic time before which it was not sent, in milliseconds.
        var onRegistered: @Sendable (GatewayRegistration, Int64) -> Void = { _, _ in }
    }

    /// How this gateway is known.
    struct Registration: Sendable {
        let gatewayID: String
        /// Where other gateways reach it.
        let url: String
        /// Fresh in each process.
        let incarnation: String
    }

    private let client: InternalClient
    private let own: Registration
    private let connections: @Sendable () -> Int
    private let queue = Mutex(PresenceQueue())
    private let isDraining = Atomic(false)

    init(
        client: InternalClient,
        registration: Registration,
        connections: @escaping @Sendable () -> Int
    ) {
        self.client = client
        own = registration
        self.connections = connections
    }

    func joined(_ identity: Identity) { queue.withLock { $0.joined(identity) } }

    func left(_ identity: Identity, silentMilliseconds: Int) {
        queue.withLock { $0.left(identity, silentMilliseconds: silentMilliseconds) }
    }

    /// Registers, reports and follows until cancelled.
    @concurrent
    func run(_ takers: Takers) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.beatForEver(takers) }
            group.addTask { await self.reportForEver(takers) }
            group.addTask { await self.followForEver(takers) }
        }
    }

    // MARK: - Registration

    /// Twice a lease, so that the list of gateways does not get older than one while presence answers.
    private func beatForEver(_ takers: Takers) async {
        while !Task.isCancelled {
            let lease = await beat(takers)
            let interval = lease.map { max(.milliseconds($0 / 2), Self.heartbeatIntervalMin) }
            try? await Task.sleep(for: min(interval ?? Self.heartbeatInterval, Self.heartbeatInterval))
        }
    }

    /// - Returns: The lease, in milliseconds, when presence has answered.
    @discardableResult
    private func beat(_ takers: Takers?) async -> Int? {
        let sentAt = Monotonic.milliseconds()
        let announcement = GatewayAnnouncement(
            url: own.url,
            incarnation: own.incarnation,
            connections: connections(),
            draining: isDraining.load(ordering: .relaxed)
        )
        let path = "/internal/gateways/\(own.gatewayID)"
        guard let answer = try? await client.call(.post, path, announcement, as: GatewayRegistration.self) else {
            return nil
        }
        queue.withLock { $0.registered(answer.registration) }
        takers?.onRegistered(answer, sentAt)
        return answer.leaseMilliseconds
    }

    /// Says that this gateway is stopping, and when its sockets are closed that it is gone (DESIGN R14).
    func drain() async {
        isDraining.store(true, ordering: .relaxed)
        await beat(nil)
    }

    /// The last words: what happened, then a heartbeat without connections, which ends the registration.
    func end() async {
        while case .more = await report(nil) {}
        await beat(nil)
    }

    // MARK: - Events

    private func reportForEver(_ takers: Takers) async {
        while !Task.isCancelled {
            switch await report(takers) {
            case .more: continue
            case .done: try? await Task.sleep(for: Self.gatherInterval)
            case .failed: try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }

    private enum Report { case more, done, failed }

    private func report(_ takers: Takers?) async -> Report {
        guard let (registration, first, events) = queue.withLock({ $0.next() }) else { return .done }
        let batch = PresenceEvents(
            gatewayID: own.gatewayID,
            registration: registration,
            first: first,
            events: events
        )
        do {
            let answer = try await client.call(.post, "/internal/events", batch, as: PresenceEventsAnswer.self)
            let joined = queue.withLock { $0.taken(registration: registration, first: first, count: events.count) }
            if !joined.isEmpty { takers?.onJoined(joined) }
            if let refused = answer.refused, !refused.isEmpty { takers?.onRefused(refused) }
            return events.count == PresenceEvents.eventsMax ? .more : .done
        } catch let error where error.refusedStatus == 409 {
            queue.withLock { $0.loseContinuity() }
            await beat(takers)
            return .failed
        } catch {
            return .failed
        }
    }

    // MARK: - News

    /// How far the change feed was followed.
    private struct Progress {
        // No epoch is called that, so the first answer is a reset, which tells the epoch.
        var epoch = "none"
        var after = 0
        var queueVersion = 0
        var roster = PresenceRoster()
        /// Whether everybody who was not named by the last snapshot was taken for gone.
        var isSettled = false
    }

    private func followForEver(_ takers: Takers) async {
        var progress = Progress()
        while !Task.isCancelled {
            do {
                try await follow(&progress, takers)
            } catch {
                try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }

    private func follow(_ progress: inout Progress, _ takers: Takers) async throws {
        let seconds = progress.isSettled ? Self.pollSeconds : Self.unsettledSeconds
        let position = "epoch=\(progress.epoch)&after=\(progress.after)&queue=\(progress.queueVersion)"
        let page = try await client.call(
            .get,
            "/internal/changes?\(position)&wait=\(seconds)",
            as: PresenceChangePage.self,
            options: .longPoll(waitSeconds: seconds)
        )
        if let decisions = page.decisions, !decisions.isEmpty { takers.onDecisions(decisions) }
        if page.epoch != progress.epoch { progress.queueVersion = 0 }
        if let queue = page.queue {
            progress.queueVersion = queue.version
            takers.onQueue(queue)
        }
        let changes = progress.roster.apply(page.changes)
        if !changes.isEmpty { takers.onChanges(changes) }
        // After a reset there is no telling what was missed: the difference to who is there now makes it good.
        guard page.reset || !progress.isSettled else {
            progress.after = page.next
            return
        }
        let snapshot = try await loadAll(&progress.roster, takers)
        progress.isSettled = snapshot.settled
        if page.reset {
            // Changes after the first page's version, applied to the pages, give the present state.
            progress.epoch = snapshot.epoch
            progress.after = snapshot.next
        } else {
            progress.after = page.next
        }
    }

    private func snapshotPage(after cursor: String?) async throws -> PresenceSnapshot {
        var path = "/internal/users?limit=\(Self.snapshotMax)"
        if let cursor { path += "&cursor=\(cursor)" }
        return try await client.call(.get, path)
    }

    /// Tells the difference between who was known and who is there.
    ///
    /// - Returns: The snapshot's first page.
    private func loadAll(_ roster: inout PresenceRoster, _ takers: Takers) async throws -> PresenceSnapshot {
        let first = try await snapshotPage(after: nil)
        roster.beginSnapshot()
        var page = first
        while true {
            let changes = roster.takePage(page.users, now: .now())
            if !changes.isEmpty { takers.onChanges(changes) }
            guard let cursor = page.nextCursor else { break }
            page = try await snapshotPage(after: cursor)
        }
        let gone = roster.endSnapshot(isSettled: first.settled, now: .now())
        if !gone.isEmpty { takers.onChanges(gone) }
        return first
    }
}
