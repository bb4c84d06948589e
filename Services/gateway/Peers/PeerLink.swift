import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Synchronization

/// Tells the other gateways what is committed here, and frames of the moment for users who are there.
///
/// What happens is gathered from any thread; one task hands it to `HintRouter` and sends what that says: one look-up
/// and one request a gateway at a time, each of many. While no other gateway is registered a commit costs reading a
/// clock.
final class PeerLink: Sendable {
    /// Commits that wait for the task; over it every gateway is told to read everything.
    private static let inboxMax = 200_000
    /// What happens gathers so long after it was first sent, so that much of it is few requests.
    private static let gatherInterval = Duration.milliseconds(2)
    /// How often it is looked whether something is to be sent again.
    private static let retryInterval = Duration.milliseconds(50)
    /// How long an answer may take; what is pending is sent again, so that it need not be long.
    private static let timeout = Duration.seconds(1)

    private struct Commit {
        let conversationID: String
        let head: Int
        let audience: [String]
    }

    private struct Inbox {
        var commits: [Commit] = []
        var frames: [(userIDs: [String], text: String)] = []
        /// Commits that were dropped.
        var isOverrun = false
    }

    private let ownID: String
    private let presence: InternalClient
    private let connect: @Sendable (BaseURL) -> InternalClient
    private let metrics: GatewayMetrics
    private let inbox = Mutex(Inbox())
    private let router: Mutex<HintRouter>
    private let clients = Mutex<[String: (url: String, client: InternalClient)]>([:])
    private let aloneUntil = Atomic(Int64.min)
    private let lease = Atomic(0)
    private let wakeUps: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - gatewayID: This gateway's own.
    ///   - presence: Says where users are.
    ///   - metrics: Counts what is sent.
    ///   - now: A monotonic clock, in milliseconds.
    ///   - connect: Makes a client of another gateway.
    init(
        gatewayID: String,
        presence: InternalClient,
        metrics: GatewayMetrics,
        now: @escaping @Sendable () -> Int64 = { Monotonic.milliseconds() },
        connect: @escaping @Sendable (BaseURL) -> InternalClient
    ) {
        ownID = gatewayID
        self.presence = presence
        self.metrics = metrics
        self.now = now
        self.connect = connect
        router = Mutex(HintRouter(ownID: gatewayID))
        (wakeUps, waker) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether no other gateway can be registered that matters (see `PeerList`).
    var isAlone: Bool { now() < aloneUntil.load(ordering: .relaxed) }

    /// The longest lease that presence has given, in milliseconds.
    var longestLease: Int { lease.load(ordering: .relaxed) }

    // MARK: - What happens here

    /// Batches that are committed; from any thread, after the commit.
    func committed(_ batches: [AppendBatch]) {
        guard !isAlone else { return }
        inbox.withLock { inbox in
            for batch in batches {
                for append in batch.appends {
                    switch append.outcome {
                    case .appended(let head, let audience), .repeated(let head, _, let audience):
                        inbox.commits.append(
                            Commit(conversationID: append.conversationID, head: head, audience: audience)
                        )
                    case .pending, .failed: break
                    }
                }
            }
            guard inbox.commits.count > Self.inboxMax else { return }
            inbox.commits = []
            inbox.isOverrun = true
        }
        waker.yield()
    }

    /// A frame for users, wherever else they are; dropped when much waits.
    func tell(_ userIDs: [String], _ frame: String) {
        guard !isAlone else { return }
        let isTaken = inbox.withLock { inbox in
            guard inbox.frames.count < HintRouter.waitingFramesMax else { return false }
            inbox.frames.append((userIDs, frame))
            return true
        }
        if isTaken { waker.yield() } else { metrics.noticesDropped(1) }
    }

    /// Receipts that were stored, for members elsewhere.
    func moved(_ moves: [PositionMove]) {
        guard !isAlone else { return }
        let now = Timestamp.now()
        for move in moves {
            for (kind, sequence) in [(Receipt.Kind.delivered, move.delivered), (.read, move.read)] {
                guard let sequence else { continue }
                let frame = ServerFrame.receipt(
                    kind,
                    conversationID: move.conversationID,
                    userID: move.userID,
                    sequence: sequence,
                    now: now
                )
                tell(move.members, frame)
            }
        }
    }

    /// The answer to a heartbeat.
    ///
    /// - Parameter sentAt: Taken before the heartbeat was sent.
    /// - Returns: Whether a gateway was lost (DESIGN R6).
    func heard(_ answer: GatewayRegistration, sentAt: Int64) -> Bool {
        let now = now()
        let (isLost, alone, longest) = router.withLock { router in
            let isLost = router.heard(answer, sentAt: sentAt, now: now)
            return (isLost, router.list.aloneUntil, router.list.longestLease)
        }
        aloneUntil.store(alone, ordering: .relaxed)
        lease.store(longest, ordering: .relaxed)
        waker.yield()
        return isLost
    }

    // MARK: - Sending

    /// Sends until cancelled.
    @concurrent
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.wakeForEver() }
            for await _ in wakeUps {
                route()
                sendDue(&group)
                try? await Task.sleep(for: Self.gatherInterval)
            }
        }
    }

    /// Returns when everything is told, or after `patience`.
    func flush(within patience: Duration) async {
        let end = ContinuousClock.now + patience
        while !isIdle, ContinuousClock.now < end {
            waker.yield()
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private var isIdle: Bool {
        inbox.withLock { $0.commits.isEmpty && !$0.isOverrun } && router.withLock(\.isIdle)
    }

    private func wakeForEver() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.retryInterval)
            if !isIdle { waker.yield() }
        }
    }

    private func route() {
        let arrived = inbox.withLock { inbox in
            defer { inbox = Inbox() }
            return inbox
        }
        let now = now()
        let (counts, pending, dropped) = router.withLock { router in
            if arrived.isOverrun { router.overrun() }
            for commit in arrived.commits {
                router.committed(commit.conversationID, commit.head, commit.audience, now: now)
            }
            for frame in arrived.frames {
                for userID in frame.userIDs { router.notify(userID, frame.text, now: now) }
            }
            return (router.takeCounts(), router.pendingCount, router.takeDroppedNotices())
        }
        metrics.located(known: counts.known, unknown: counts.unknown)
        metrics.hintsPending(pending)
        if dropped > 0 { metrics.noticesDropped(dropped) }
    }

    private func sendDue(_ group: inout DiscardingTaskGroup) {
        let now = now()
        let (question, hints, notices) = router.withLock { router in
            (router.nextQuestion(now: now), router.nextHints(now: now), router.nextNotices())
        }
        if let question { group.addTask { await self.ask(question) } }
        for request in hints { group.addTask { await self.send(request) } }
        for request in notices { group.addTask { await self.send(request) } }
    }

    private static var options: InternalCallOptions {
        var options = InternalCallOptions.standard
        options.timeout = timeout
        // What is to be asked or sent again is decided anew each time.
        options.attemptsMax = 1
        options.usesCircuit = false
        return options
    }

    private func ask(_ question: HintRouter.Question) async {
        metrics.lookUpSent()
        let request = LocateRequest(userIDs: question.userIDs)
        let answer = try? await presence.call(
            .post,
            "/internal/locate",
            request,
            as: Locations.self,
            options: Self.options
        )
        let now = now()
        router.withLock { router in
            if let answer {
                router.answered(question, answer, now: now)
            } else {
                router.unanswered(question, now: now)
            }
        }
        waker.yield()
    }

    private func send(_ request: HintQueue.Request) async {
        do throws(InternalCallError) {
            _ = try await post(request.hints, "/internal/deliver", to: request.peer)
            metrics.hintsSent(request.hints.entries.count)
            router.withLock { $0.taken(request) }
        } catch {
            let now = now()
            // It would be refused for ever, and hold up all that follows.
            let isRefused = error.refusedStatus == 422 && request.hints.readAll != true
            router.withLock { isRefused ? $0.refused(request, now: now) : $0.failed(request, now: now) }
        }
        waker.yield()
    }

    private func send(_ request: NoticeQueue.Request) async {
        let answer = try? await post(request.notifications, "/internal/notify", to: request.peer)
        router.withLock { $0.ended(request, isTaken: answer != nil) }
        waker.yield()
    }

    private func post(
        _ body: some Encodable & Sendable,
        _ path: String,
        to peer: PeerList.Peer
    ) async throws(InternalCallError) -> InternalClient.NoAnswer {
        guard let client = client(peer) else { throw .unavailable(service: "gateway", reason: "no such address") }
        return try await client.call(.post, path, body, options: Self.options)
    }

    private func client(_ peer: PeerList.Peer) -> InternalClient? {
        clients.withLock { clients in
            if let known = clients[peer.gatewayID], known.url == peer.url { return known.client }
            guard let url = BaseURL(parsing: peer.url) else { return nil }
            // As many as there are gateways; the names of those that are gone go with the rest.
            if clients.count >= Self.clientsMax { clients = [:] }
            let client = connect(url)
            clients[peer.gatewayID] = (peer.url, client)
            return client
        }
    }

    private static let clientsMax = 1000
}
