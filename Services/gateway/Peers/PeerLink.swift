import Contracts
import Core
import HTTP
import Net
import ServiceKit
import Synchronization

/// Tells the other gateways what is committed here, and frames of the moment for users who are there.
///
/// What happens goes into `HintRouter` on the thread where it happens; one task sends what that says: one look-up and
/// one request a gateway at a time, each of many. While no other gateway is registered a commit costs reading a clock.
final class PeerLink: Sendable {
    /// What happens gathers so long after something was sent, so that much of it is few requests.
    private static let gatherInterval = Duration.milliseconds(2)
    /// The same when the last requests carried many conversations: requests are what costs then.
    private static let busyGatherInterval = Duration.milliseconds(8)
    private static let busyConversations = 8
    /// How often it is looked whether something is to be sent again.
    private static let retryInterval = Duration.milliseconds(50)
    /// How long an answer may take; what is pending is sent again, so that it need not be long.
    private static let timeout = Duration.seconds(1)

    private let ownID: String
    private let presence: InternalClient
    private let connect: @Sendable (BaseURL) -> InternalClient
    private let metrics: GatewayMetrics
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

    /// Batches that are committed; on the log's thread, after the commit.
    ///
    /// What is for users elsewhere is noted at once, with the texts, which are at hand here.
    func committed(_ batches: [AppendBatch]) {
        guard !isAlone else { return }
        let now = now()
        router.withLock { router in
            for batch in batches {
                for append in batch.appends { Self.route(append, of: batch, to: &router, now) }
            }
        }
        waker.yield()
    }

    private static func route(_ append: Append, of batch: AppendBatch, to router: inout HintRouter, _ now: Int64) {
        switch append.outcome {
        case .appended(let head, let audience):
            // Others look at more than the text of what routing enters and recalls.
            let isChat = append.kind == .chat
            let text = isChat ? UnsafeRawBufferPointer(rebasing: batch.bytes.waiting[append.text]) : nil
            router.committed(append.conversationID, head, audience, text: text, now: now)
        case .repeated(let head, _, let audience):
            router.committed(append.conversationID, head, audience, now: now)
        case .pending, .failed: break
        }
    }

    /// A frame for users, wherever else they are; dropped when much waits.
    func tell(_ userIDs: [String], _ frame: String) {
        guard !isAlone else { return }
        let now = now()
        router.withLock { router in
            for userID in userIDs { router.notify(userID, frame, now: now) }
        }
        waker.yield()
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

    /// Sends until cancelled, on the loop where the connections are: a request costs no thread a switch.
    @concurrent
    func run() async {
        let loop = presence.loop
        await withTaskExecutorPreference(loop) {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.wakeForEver() }
                for await _ in wakeUps {
                    report()
                    await loop.sleep(for: sendDue(&group))
                }
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

    private var isIdle: Bool { router.withLock(\.isIdle) }

    private func wakeForEver() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.retryInterval)
            if !isIdle { waker.yield() }
        }
    }

    private func report() {
        let (counts, pending, dropped) = router.withLock { router in
            (router.takeCounts(), router.pendingCount, router.takeDroppedNotices())
        }
        metrics.located(known: counts.known, unknown: counts.unknown)
        metrics.hintsPending(pending)
        if dropped > 0 { metrics.noticesDropped(dropped) }
    }

    /// - Returns: How long to gather until the next time.
    private func sendDue(_ group: inout DiscardingTaskGroup) -> Duration {
        let now = now()
        let (question, hints, notices) = router.withLock { router in
            (router.nextQuestion(now: now), router.nextHints(now: now), router.nextNotices())
        }
        if let question { group.addTask { await self.ask(question) } }
        for request in hints { group.addTask { await self.send(request) } }
        for request in notices { group.addTask { await self.send(request) } }
        let isBusy = hints.reduce(0) { $0 + $1.hints.conversationCount } >= Self.busyConversations
        return isBusy ? Self.busyGatherInterval : Self.gatherInterval
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
            var body = ByteQueue()
            body.reserveCapacity(request.hints.textByteCount + 256 * request.hints.entries.count)
            request.hints.write(to: &body)
            let client = try client(request.peer)
            _ = try await client.call(
                .post,
                "/internal/deliver",
                json: Array(body.waiting),
                as: InternalClient.NoAnswer.self,
                options: Self.options
            )
            metrics.hintsSent(request.hints.entries.count)
            router.withLock { $0.taken(request) }
        } catch {
            let now = now()
            // It would be refused for ever, and hold up all that follows.
            let isRefused = error.refusedStatus == 422 && !request.hints.readAll
            router.withLock { isRefused ? $0.refused(request, now: now) : $0.failed(request, now: now) }
        }
        waker.yield()
    }

    private func send(_ request: NoticeQueue.Request) async {
        let client = try? client(request.peer)
        let answer = try? await client?.call(
            .post,
            "/internal/notify",
            request.notifications,
            as: InternalClient.NoAnswer.self,
            options: Self.options
        )
        router.withLock { $0.ended(request, isTaken: answer != nil) }
        waker.yield()
    }

    private func client(_ peer: PeerList.Peer) throws(InternalCallError) -> InternalClient {
        let client = clients.withLock { clients in
            if let known = clients[peer.gatewayID], known.url == peer.url { return Optional(known.client) }
            guard let url = BaseURL(parsing: peer.url) else { return nil }
            // As many as there are gateways; the names of those that are gone go with the rest.
            if clients.count >= Self.clientsMax { clients = [:] }
            let client = connect(url)
            clients[peer.gatewayID] = (peer.url, client)
            return client
        }
        guard let client else { throw .unavailable(service: "gateway", reason: "no such address") }
        return client
    }

    private static let clientsMax = 1000
}
