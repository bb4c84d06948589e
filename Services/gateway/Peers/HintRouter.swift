import Contracts

/// From what was committed here to what other gateways are told (DESIGN R1, R4, R5): pure, so that a simulation can
/// drive several of them.
///
/// A member's place is looked up after the commit, or known from a look-up whose lease holds. Until presence answers,
/// what is for the member waits, and the question is asked again; when presence is silent every gateway is told
/// meanwhile, wherever the member was last.
struct HintRouter {
    /// Heads of members, and frames for users, that may wait for look-ups.
    ///
    /// Over it all that wait are dropped, and every gateway that presence names then is told to read everything.
    static let waitingMax = 100_000
    static let waitingFramesMax = 1000
    /// How long after a look-up that was not answered the next one is sent, in milliseconds.
    static let retryMilliseconds: Int64 = 250

    /// A look-up to send.
    struct Question: Equatable {
        let number: Int
        let userIDs: [String]
        let sentAt: Int64
    }

    /// Where an audience is, all of whose places are known.
    private struct KnownAudience {
        let audience: [String]
        let now: Int64
        /// By other gateway, the members who are there.
        let targets: [(gatewayID: String, userIDs: [String])]
    }

    /// How often places were known, since `takeCounts`.
    struct Counts: Equatable {
        var known = 0
        var unknown = 0
    }

    private struct WaitingHead {
        var head: Int
        /// How many look-ups had been sent when it was committed.
        var questions: Int
        /// Whether it was told while presence was silent.
        var isHinted: Bool
    }

    private struct Waiting {
        var heads: [String: WaitingHead] = [:]
        var frames: [String] = []
    }

    private let ownID: String
    private let waitingMax: Int
    private(set) var list: PeerList
    private(set) var cache: LocationCache
    private(set) var queue: HintQueue
    private(set) var notices = NoticeQueue()
    private var waiting: [String: Waiting] = [:]
    /// Users to look up; each once.
    private var order: ArraySlice<String> = []
    private var waitingCount = 0
    private var waitingFrames = 0
    private var question: Question?
    private var questions = 0
    private var askAt = Int64.min
    /// Whether the last look-up went unanswered.
    private var isSilent = false
    /// Whether heads were dropped that some gateway may need.
    private var owesAll = false
    private var counts = Counts()
    /// The last audience: many entries that are committed at once have the same one.
    private var known: KnownAudience?

    init(
        ownID: String,
        waitingMax: Int = HintRouter.waitingMax,
        conversationsMax: Int = HintQueue.conversationsMax,
        usersMax: Int = LocationCache.usersMax
    ) {
        self.ownID = ownID
        self.waitingMax = waitingMax
        list = PeerList(ownID: ownID)
        cache = LocationCache(usersMax: usersMax)
        queue = HintQueue(conversationsMax: conversationsMax)
    }

    /// Whether everybody elsewhere was told of everything.
    var isIdle: Bool { waitingCount == 0 && !owesAll && queue.isIdle }

    /// Heads that wait for look-ups, and conversations that wait for their gateways.
    var pendingCount: Int { waitingCount + queue.pendingCount }

    mutating func takeCounts() -> Counts {
        defer { counts = Counts() }
        return counts
    }

    // MARK: - What happens here

    /// An entry was committed here, or found again by its `client_id`.
    ///
    /// - Parameter text: Its stored text; `nil` when the others are to read it.
    mutating func committed(
        _ conversationID: String,
        _ head: Int,
        _ audience: [String],
        text: UnsafeRawBufferPointer? = nil,
        now: Int64
    ) {
        if let known, known.now == now, known.audience == audience {
            counts.known += audience.count
            for (gatewayID, userIDs) in known.targets {
                queue.add(conversationID, head, userIDs, text: text, for: gatewayID, now: now)
            }
            return
        }
        known = place(audience, now: now)
        for userID in audience {
            route(.init(conversationID: conversationID, userID: userID, head: head), text, now: now)
        }
    }

    private func place(_ audience: [String], now: Int64) -> KnownAudience? {
        var targets: [String: [String]] = [:]
        for userID in audience {
            guard case .current(let gatewayIDs, _) = cache.place(of: userID, now: now) else { return nil }
            for gatewayID in gatewayIDs where gatewayID != ownID { targets[gatewayID, default: []].append(userID) }
        }
        return KnownAudience(audience: audience, now: now, targets: targets.map { ($0.key, $0.value) })
    }

    private mutating func route(_ head: HintQueue.Head, _ text: UnsafeRawBufferPointer?, now: Int64) {
        switch cache.place(of: head.userID, now: now) {
        case .current(let gatewayIDs, let isEnding):
            counts.known += 1
            hint(head, text, at: gatewayIDs, now: now)
            // Who is written to all the time need not be waited for when the lease ends.
            if isEnding, waiting[head.userID] == nil { waiting[head.userID] = enter(head.userID) }
        case .lastKnown(let gatewayIDs):
            counts.unknown += 1
            if isSilent { hint(head, text, at: anywhere(gatewayIDs), now: now) }
            wait(head, isHinted: isSilent)
        }
    }

    private mutating func hint(
        _ head: HintQueue.Head,
        _ text: UnsafeRawBufferPointer? = nil,
        at gatewayIDs: [String],
        now: Int64
    ) {
        for gatewayID in gatewayIDs where gatewayID != ownID {
            queue.add(head.conversationID, head.head, [head.userID], text: text, for: gatewayID, now: now)
        }
    }

    /// Where a user may be while presence is silent: at any gateway, those that it had named last included.
    private func anywhere(_ lastKnown: [String]) -> [String] {
        Array(list.peers.keys) + lastKnown.filter { list.peers[$0] == nil }
    }

    private mutating func wait(_ head: HintQueue.Head, isHinted: Bool) {
        var entry = enter(head.userID)
        if entry.heads[head.conversationID] == nil {
            guard waitingCount < waitingMax else { return dropWaiting() }
            waitingCount += 1
        }
        let known = entry.heads[head.conversationID]?.head ?? 0
        entry.heads[head.conversationID] = WaitingHead(
            head: max(known, head.head),
            questions: questions,
            isHinted: isHinted
        )
        waiting[head.userID] = entry
    }

    private mutating func enter(_ userID: String) -> Waiting {
        if let entry = waiting[userID] { return entry }
        order.append(userID)
        return Waiting()
    }

    private mutating func dropWaiting() {
        waiting = [:]
        order = []
        waitingCount = 0
        waitingFrames = 0
        owesAll = true
    }

    /// A frame of the moment for a user: it waits for one look-up at most.
    mutating func notify(_ userID: String, _ frame: String, now: Int64) {
        if case .current(let gatewayIDs, _) = cache.place(of: userID, now: now) {
            return notify(userID, frame, at: gatewayIDs)
        }
        guard waitingFrames < Self.waitingFramesMax else { return notices.drop() }
        waitingFrames += 1
        var entry = enter(userID)
        entry.frames.append(frame)
        waiting[userID] = entry
    }

    private mutating func notify(_ userID: String, _ frame: String, at gatewayIDs: [String]) {
        for gatewayID in gatewayIDs where gatewayID != ownID { notices.add(frame, to: userID, at: gatewayID) }
    }

    // MARK: - The other gateways

    /// The answer to a heartbeat.
    ///
    /// - Returns: Whether a gateway was lost: what it had committed it may have told nobody (R6).
    mutating func heard(_ answer: GatewayRegistration, sentAt: Int64, now: Int64) -> Bool {
        guard let change = list.heard(answer, sentAt: sentAt) else { return false }
        known = nil
        if change.hasNewEpoch { cache.expireAll() }
        for gatewayID in change.ended { cache.forget(gateway: gatewayID) }
        let left = queue.update(list.peers, askedAt: sentAt)
        for head in left { wait(head, isHinted: false) }
        if owesAll {
            owesAll = false
            for gatewayID in list.peers.keys { queue.readAll(gatewayID, now: now) }
        }
        return !change.ended.isEmpty
    }

    // MARK: - Look-ups

    /// The look-up to send now; it is `answered` or stays `unanswered` before there is another one.
    mutating func nextQuestion(now: Int64) -> Question? {
        guard question == nil, now >= askAt, !order.isEmpty else { return nil }
        questions += 1
        let next = Question(
            number: questions,
            userIDs: Array(order.prefix(LocateRequest.userIDsMax)),
            sentAt: now
        )
        order = order.dropFirst(next.userIDs.count)
        question = next
        return next
    }

    mutating func answered(_ asked: Question, _ answer: Locations, now: Int64) {
        guard question == asked else { return }
        question = nil
        isSilent = false
        known = nil
        let validUntil = asked.sentAt + Int64(answer.leaseMilliseconds)
        for userID in asked.userIDs {
            let gatewayIDs = answer.locations[userID] ?? []
            cache.learn(userID, gatewayIDs, askedAt: asked.sentAt, lease: Int64(answer.leaseMilliseconds))
            guard var entry = waiting.removeValue(forKey: userID) else { continue }
            for (conversationID, waiting) in entry.heads {
                let head = HintQueue.Head(conversationID: conversationID, userID: userID, head: waiting.head)
                hint(head, at: gatewayIDs, now: now)
                // Committed before the look-up was sent, or within its lease.
                guard waiting.questions < asked.number || now < validUntil else { continue }
                entry.heads[conversationID] = nil
                waitingCount -= 1
            }
            passFrames(of: userID, &entry, to: gatewayIDs)
            putBack(userID, entry)
        }
    }

    /// Presence is silent: every gateway is told, and it is asked again.
    mutating func unanswered(_ asked: Question, now: Int64) {
        guard question == asked else { return }
        question = nil
        isSilent = true
        askAt = now + Self.retryMilliseconds
        for userID in asked.userIDs {
            guard var entry = waiting.removeValue(forKey: userID) else { continue }
            var lastKnown: [String] = []
            switch cache.place(of: userID, now: now) {
            case .current(let gatewayIDs, _), .lastKnown(let gatewayIDs): lastKnown = gatewayIDs
            }
            for (conversationID, waiting) in entry.heads where !waiting.isHinted {
                let head = HintQueue.Head(conversationID: conversationID, userID: userID, head: waiting.head)
                hint(head, at: anywhere(lastKnown), now: now)
                entry.heads[conversationID]?.isHinted = true
            }
            passFrames(of: userID, &entry, to: anywhere(lastKnown))
            putBack(userID, entry)
        }
    }

    private mutating func passFrames(of userID: String, _ entry: inout Waiting, to gatewayIDs: [String]) {
        for frame in entry.frames { notify(userID, frame, at: gatewayIDs) }
        waitingFrames -= entry.frames.count
        entry.frames = []
    }

    private mutating func putBack(_ userID: String, _ entry: Waiting) {
        guard !entry.heads.isEmpty else { return }
        waiting[userID] = entry
        order.append(userID)
    }

    // MARK: - Requests

    /// The requests to send now, and what becomes of them: see `HintQueue`.
    mutating func nextHints(now: Int64) -> [HintQueue.Request] { queue.next(now: now) }

    mutating func taken(_ request: HintQueue.Request) { queue.taken(request) }

    mutating func failed(_ request: HintQueue.Request, now: Int64) { queue.failed(request, now: now) }

    /// The gateway will not take the request as it is.
    mutating func refused(_ request: HintQueue.Request, now: Int64) {
        queue.taken(request)
        queue.readAll(request.peer.gatewayID, now: now)
    }

    mutating func nextNotices() -> [NoticeQueue.Request] { notices.next(list.peers) }

    mutating func ended(_ request: NoticeQueue.Request, isTaken: Bool) { notices.ended(request, isTaken: isTaken) }

    mutating func takeDroppedNotices() -> Int { notices.takeDropped() }
}
