import Contracts
import Core
import Net
import ServiceKit
import Synchronization
import Transport

/// The gateway's parts put together: the shards, the log and what they share.
///
/// Shards belong to their loops; all else here is `Sendable`.
final class Gateway: Sendable {
    let admission: AdmissionControl
    let entrance: SessionEntrance
    let queue: QueueBoard
    let directory: UserDirectory
    private let peers: PeerLink?
    private let bulletin = Mutex(PresenceBulletin())
    private let shards: [LoopBox]
    private let draining = Atomic(false)

    /// A shard with its loop: made before the loop has work for it, used on the loop.
    private struct LoopBox: Sendable {
        let loop: EventLoop
        let shard: Handover<GatewayShard>
    }

    init(loops: EventLoopGroup, shared: GatewayShard.Shared) {
        admission = shared.admission
        queue = shared.queue
        directory = shared.directory
        entrance = shared.entrance
        peers = shared.peers
        let tell = Tell()
        let boxes = loops.loops.enumerated().map { index, loop in
            let shard = GatewayShard(index: index, loop: loop, shared: shared) { tell.all($0, $1) }
            return LoopBox(loop: loop, shard: Handover(shard))
        }
        shards = boxes
        tell.connect { [peers] userIDs, frame in
            for box in boxes { box.loop.submit { box.shard.value.pass(frame, to: userIDs) } }
            peers?.tell(userIDs, frame)
        }
        onEachLoop { shard in
            shard.startSweeping()
            shard.startExpiring()
            shard.startReadingHeads()
        }
    }

    /// Sends frames to users on every loop; made before the loops' shards are, and connected after.
    private final class Tell: Sendable {
        private let send = Mutex<FrameRequests.Tell?>(nil)

        func connect(_ send: @escaping FrameRequests.Tell) { self.send.withLock { $0 = send } }

        func all(_ userIDs: [String], _ frame: String) { send.withLock { $0 }?(userIDs, frame) }
    }

    var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Runs `work` for every shard, on its loop.
    func onEachLoop(_ work: @escaping @Sendable (GatewayShard) -> Void) {
        for box in shards { box.loop.submit { work(box.shard.value) } }
    }

    /// Takes a verified connection over, on its loop.
    func attach(_ connection: UpgradedConnection, _ handshake: VerifiedHandshake) {
        guard let box = shards.first(where: { $0.loop === connection.loop }) else { return }
        let verdict = entrance.pending.end(handshake.sessionHash)
        for displaced in box.shard.value.attach(connection, handshake, verdict) {
            let other = shards[displaced.shard]
            other.loop.submit { other.shard.value.replaced(displaced.number) }
        }
    }

    /// A commit's batches: every shard serves its own connections; on the log's thread.
    func committed(_ batches: Handover<[AppendBatch]>) {
        for batch in batches.value {
            for decision in batch.decisions where decision.agentID != nil || decision.kind == .closed {
                if let customerID = ConversationName.customer(of: decision.conversationID) { queue.forget(customerID) }
            }
        }
        onEachLoop { $0.committed(batches.value) }
        // DESIGN R1: after the commit, and before this nobody looks up where its members are.
        peers?.committed(batches.value)
    }

    /// Other gateways have committed entries for users here.
    func hinted(_ hints: DeliveryHints) {
        if !hints.entries.isEmpty { onEachLoop { $0.hinted(hints.entries) } }
        if hints.readAll { onEachLoop { $0.readAllHeads() } }
    }

    /// Other gateways have frames for users here.
    func notified(_ notices: [Notification]) {
        onEachLoop { shard in
            for notice in notices { shard.pass(notice.frame, to: notice.userIDs) }
        }
    }

    /// Presence has answered the joins of these users' connections.
    func joined(_ userIDs: [String]) {
        if peers != nil { onEachLoop { $0.joined(userIDs) } }
    }

    /// The answer to a heartbeat, and when that was sent, at the earliest.
    func heard(_ registration: GatewayRegistration, sentAt: Int64) {
        guard let peers, peers.heard(registration, sentAt: sentAt) else { return }
        onEachLoop { $0.readAllHeads() }
    }

    /// A session has ended, or was refreshed.
    func sessionRevoked(hash: String, replacedBy: String?) {
        entrance.pending.revoke(hash, replacedBy: replacedBy)
        onEachLoop { $0.sessionRevoked(hash: hash, replacedBy: replacedBy) }
    }

    /// Receipts that were stored; on the log's thread.
    func moved(_ moves: [PositionMove]) {
        onEachLoop { $0.tell(moves) }
        peers?.moved(moves)
    }

    /// Presence news, for the next batch.
    func note(_ changes: [PresenceChange]) {
        bulletin.withLock { bulletin in
            for change in changes { bulletin.add(change) }
        }
    }

    /// Sends presence news for ever: at most one batch an interval.
    @concurrent
    func publishNews(every interval: Duration) async {
        while !Task.isCancelled {
            let news = bulletin.withLock { $0.take() }
            if !news.isEmpty { onEachLoop { $0.tell(news) } }
            try? await Task.sleep(for: interval)
        }
    }

    /// The queue as it stands: customers are told of their places.
    func tell(_ waiting: WaitingQueue) {
        let places = queue.replace(waiting)
        if !places.isEmpty { onEachLoop { $0.tell(places) } }
    }

    /// A customer has been given a place in the queue.
    func tell(_ place: QueuePlace) {
        if queue.note(place) { onEachLoop { $0.tell([place]) } }
    }

    /// How long after the last close frame clients have to answer it.
    private static let drainTail = Duration.seconds(2)
    private static let abortTail = Duration.milliseconds(250)

    /// Refuses new connections, and closes the open ones spread over some time; returns when the last is gone.
    func drain(over spread: Duration) async {
        draining.store(true, ordering: .relaxed)
        onEachLoop { $0.drain(over: spread) }
        let end = ContinuousClock.now + spread + Self.drainTail
        while admission.total > 0, ContinuousClock.now < end {
            try? await Task.sleep(for: .milliseconds(20))
        }
        onEachLoop { $0.endDrain() }
        // Handshakes that are still with auth are refused, and count until they are.
        let last = ContinuousClock.now + Self.abortTail
        while admission.total > 0, ContinuousClock.now < last {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
