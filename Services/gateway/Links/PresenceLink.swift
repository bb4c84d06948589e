import Contracts
import Core
import HTTP
import ServiceKit
import Synchronization

/// Told of every connection that opens and closes.
protocol PresenceReporting: Sendable {
    func joined(_ identity: Identity)
    func left(_ identity: Identity)
}

/// The gateway's side of presence: its registration, the events it reports, the news it follows.
///
/// Presence may be away: chat goes on, events gather (bounded), and everything is announced when it is back.
final class PresenceLink: PresenceReporting {
    private static let heartbeatInterval = Duration.seconds(2)
    /// Joins and leaves gather so long, so that a storm of them is few requests.
    private static let gatherInterval = Duration.milliseconds(20)
    private static let retryInterval = Duration.milliseconds(250)
    /// How long presence holds a question for news, in seconds.
    private static let pollSeconds = 25

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

    func left(_ identity: Identity) { queue.withLock { $0.left(identity) } }

    /// Registers, reports and follows until cancelled.
    ///
    /// - Parameters:
    ///   - onChanges: Gets the news, in order.
    ///   - onRefused: Gets users for whom presence has no room: nobody would find them.
    @concurrent
    func run(
        onChanges: @escaping @Sendable ([PresenceChange]) -> Void,
        onRefused: @escaping @Sendable ([String]) -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.beatForEver() }
            group.addTask { await self.reportForEver(onRefused) }
            group.addTask { await self.followForEver(onChanges) }
        }
    }

    // MARK: - Registration

    private func beatForEver() async {
        while !Task.isCancelled {
            await beat()
            try? await Task.sleep(for: Self.heartbeatInterval)
        }
    }

    private func beat() async {
        let announcement = GatewayAnnouncement(
            url: own.url,
            incarnation: own.incarnation,
            connections: connections(),
            draining: isDraining.load(ordering: .relaxed)
        )
        let path = "/internal/gateways/\(own.gatewayID)"
        guard let answer = try? await client.call(.post, path, announcement, as: GatewayRegistration.self) else {
            return
        }
        queue.withLock { $0.registered(answer.registration) }
    }

    /// Says that this gateway is stopping, and when its sockets are closed that it is gone (DESIGN R14).
    func drain() async {
        isDraining.store(true, ordering: .relaxed)
        await beat()
    }

    /// The last words: what happened, then a heartbeat without connections, which ends the registration.
    func end() async {
        while case .more = await report({ _ in }) {}
        await beat()
    }

    // MARK: - Events

    private func reportForEver(_ onRefused: @Sendable ([String]) -> Void) async {
        while !Task.isCancelled {
            switch await report(onRefused) {
            case .more: continue
            case .done: try? await Task.sleep(for: Self.gatherInterval)
            case .failed: try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }

    private enum Report { case more, done, failed }

    private func report(_ onRefused: @Sendable ([String]) -> Void) async -> Report {
        guard let (registration, first, events) = queue.withLock({ $0.next() }) else { return .done }
        let batch = PresenceEvents(
            gatewayID: own.gatewayID,
            registration: registration,
            first: first,
            events: events
        )
        do {
            let answer = try await client.call(.post, "/internal/events", batch, as: PresenceEventsAnswer.self)
            queue.withLock { $0.taken(registration: registration, first: first, count: events.count) }
            if let refused = answer.refused, !refused.isEmpty { onRefused(refused) }
            return events.count == PresenceEvents.eventsMax ? .more : .done
        } catch let error where error.refusedStatus == 409 {
            queue.withLock { $0.loseContinuity() }
            await beat()
            return .failed
        } catch {
            return .failed
        }
    }

    // MARK: - News

    private func followForEver(_ onChanges: @Sendable ([PresenceChange]) -> Void) async {
        // No epoch is called that, so the first answer is a reset, which tells the epoch.
        var epoch = "none"
        var after = 0
        while !Task.isCancelled {
            do {
                let path = "/internal/changes?epoch=\(epoch)&after=\(after)&wait=\(Self.pollSeconds)"
                let page = try await client.call(
                    .get,
                    path,
                    as: PresenceChangePage.self,
                    options: .longPoll(waitSeconds: Self.pollSeconds)
                )
                // After a reset there is no telling what was missed; who is there now can be asked for.
                epoch = page.epoch
                after = page.next
                if !page.changes.isEmpty { onChanges(page.changes) }
            } catch {
                try? await Task.sleep(for: Self.retryInterval)
            }
        }
    }
}
