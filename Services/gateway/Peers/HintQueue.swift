/// What other gateways are still to be told (DESIGN R5): pure.
///
/// Of each conversation the newest head is pending, for each member by itself: one whose membership has ended is to be
/// sent no more than that. The texts of its newest entries go with it, so that who is that far need not read them: each
/// run of them is a hint of its own. A gateway has one request under way, sent again until it is taken or the gateway's
/// registration has ended; what is sent again is sent without texts. A gateway for which more conversations than
/// `conversationsMax` are pending is told to read everything instead: nothing is lost by the bound.
struct HintQueue {
    /// Conversations that may be pending for one gateway.
    static let conversationsMax = 20_000
    /// Members named in one request, unless its only hint has more.
    static let usersPerRequestMax = 5000
    /// Bytes of texts that may be pending for one gateway; over it entries go without.
    static let textBytesMax = 8 << 20
    /// Bytes of texts after which a request takes no further conversation.
    static let textBytesPerRequest = 256 * 1024
    /// The first pause after a failure, in milliseconds; each further one is twice as long, up to the longest.
    private static let pause: Int64 = 50
    private static let pauseMax: Int64 = 1000

    /// How far a member is to be sent a conversation.
    struct Head: Equatable {
        let conversationID: String
        let userID: String
        let head: Int
    }

    struct Request: Equatable {
        let peer: PeerList.Peer
        /// Counts those for this registration of the gateway.
        let number: Int
        let hints: DeliveryHints
    }

    /// A conversation of which something is pending.
    fileprivate struct Pending {
        /// Each member once; a conversation has few.
        var members: [(userID: String, head: Int)] = []
        var runs = EntryRuns()
    }

    fileprivate struct Target {
        /// `nil` while presence places users there, but has not named it among the gateways.
        var peer: PeerList.Peer?
        let since: Int64
        /// By conversation.
        var pending: [String: Pending] = [:]
        var textBytes = 0
        var order: ArraySlice<String> = []
        var wantsAll = false
        var underWay: Request?
        var requests = 0
        var failures = 0
        var retryAt = Int64.min

        var isIdle: Bool { pending.isEmpty && !wantsAll && underWay == nil }
    }

    private let conversationsMax: Int
    private var targets: [String: Target] = [:]

    init(conversationsMax: Int = HintQueue.conversationsMax) { self.conversationsMax = conversationsMax }

    /// Conversations that are pending, over all gateways, without those under way.
    var pendingCount: Int { targets.values.reduce(0) { $0 + $1.pending.count } }

    /// Whether everything was taken.
    var isIdle: Bool { targets.values.allSatisfy(\.isIdle) }

    /// Members of a conversation are at that gateway.
    ///
    /// - Parameter text: The stored text of the entry that is the head, when it is at hand.
    mutating func add(
        _ conversationID: String,
        _ head: Int,
        _ userIDs: [String],
        text: UnsafeRawBufferPointer? = nil,
        for gatewayID: String,
        now: Int64
    ) {
        targets[gatewayID, default: Target(since: now)].add(conversationID, head, userIDs, text, conversationsMax)
    }

    /// The gateway is told to read everything, in place of what is pending for it.
    mutating func readAll(_ gatewayID: String, now: Int64) {
        targets[gatewayID, default: Target(since: now)].overrun()
    }

    /// Presence has named the gateways.
    ///
    /// - Parameters:
    ///   - peers: By id.
    ///   - askedAt: When it was asked: who is not named and was not known before that may be named the next time.
    /// - Returns: What was pending for registrations that have ended.
    mutating func update(_ peers: [String: PeerList.Peer], askedAt: Int64) -> [Head] {
        var left: [Head] = []
        for (gatewayID, target) in targets {
            let hasEnded =
                switch (target.peer, peers[gatewayID]) {
                case (nil, nil): target.since < askedAt
                case (nil, _?): false
                case (let known?, let named): known.registration != named?.registration
                }
            if hasEnded {
                targets[gatewayID] = nil
                left += target.headsUnderWay + target.headsPending
            } else if let peer = peers[gatewayID] {
                // Where it is reached may have changed.
                targets[gatewayID]?.peer = peer
            }
        }
        for (gatewayID, peer) in peers where targets[gatewayID] == nil {
            targets[gatewayID] = Target(peer: peer, since: askedAt)
        }
        return left
    }

    /// The requests to send now, one for each gateway that has none under way; each is `taken` or has `failed` later.
    mutating func next(now: Int64) -> [Request] {
        targets.keys.sorted().compactMap { targets[$0]?.next(now: now) }
    }

    mutating func taken(_ request: Request) {
        let gatewayID = request.peer.gatewayID
        guard targets[gatewayID]?.isUnderWay(request) == true else { return }
        targets[gatewayID]?.underWay = nil
        targets[gatewayID]?.failures = 0
    }

    /// It was not answered: its hints are pending again, under what came meanwhile.
    mutating func failed(_ request: Request, now: Int64) {
        let gatewayID = request.peer.gatewayID
        guard var target = targets[gatewayID], target.isUnderWay(request) else { return }
        let heads = target.headsUnderWay
        target.underWay = nil
        target.wantsAll = target.wantsAll || request.hints.readAll
        for head in heads { target.add(head.conversationID, head.head, [head.userID], nil, conversationsMax) }
        target.retryAt = now + min(Self.pause << min(Int64(target.failures), 8), Self.pauseMax)
        target.failures += 1
        targets[gatewayID] = target
    }
}

extension HintQueue.Target {
    fileprivate func isUnderWay(_ request: HintQueue.Request) -> Bool {
        underWay.map { $0.number == request.number && $0.peer == request.peer } ?? false
    }

    fileprivate mutating func add(
        _ conversationID: String,
        _ head: Int,
        _ userIDs: [String],
        _ text: UnsafeRawBufferPointer?,
        _ conversationsMax: Int
    ) {
        let fits = textBytes + (text?.count ?? 0) <= HintQueue.textBytesMax
        if let place = pending.index(forKey: conversationID) {
            textBytes += pending.values[place].add(head, userIDs, fits ? text : nil)
        } else {
            guard pending.count < conversationsMax else { return overrun() }
            order.append(conversationID)
            var conversation = HintQueue.Pending()
            textBytes += conversation.add(head, userIDs, fits ? text : nil)
            pending[conversationID] = conversation
        }
    }

    fileprivate mutating func overrun() {
        pending = [:]
        order = []
        textBytes = 0
        wantsAll = true
    }

    fileprivate var headsUnderWay: [HintQueue.Head] {
        (underWay?.hints.entries ?? []).flatMap { hint in
            hint.userIDs.map {
                HintQueue.Head(conversationID: hint.conversationID, userID: $0, head: hint.head)
            }
        }
    }

    fileprivate var headsPending: [HintQueue.Head] {
        pending.flatMap { conversationID, conversation in
            conversation.members.map {
                HintQueue.Head(conversationID: conversationID, userID: $0.userID, head: $0.head)
            }
        }
    }

    fileprivate mutating func next(now: Int64) -> HintQueue.Request? {
        guard let peer, underWay == nil, now >= retryAt, !isIdle else { return nil }
        var hints = DeliveryHints(readAll: wantsAll)
        wantsAll = false
        var userCount = 0
        var textCount = 0
        while let conversationID = order.first, let conversation = pending[conversationID] {
            let parts = conversation.hints(conversationID)
            let isFirst = hints.entries.isEmpty
            let fits =
                hints.entries.count + parts.count <= DeliveryHints.entriesMax
                && userCount + conversation.members.count * parts.count <= HintQueue.usersPerRequestMax
                && textCount < HintQueue.textBytesPerRequest
            guard isFirst || fits else { break }
            // More ends of memberships than a request has room for.
            guard parts.count <= DeliveryHints.entriesMax else {
                overrun()
                return next(now: now)
            }
            hints.entries += parts
            userCount += conversation.members.count * parts.count
            textCount += parts.reduce(0) { $0 + $1.textByteCount }
            order.removeFirst()
            pending[conversationID] = nil
            textBytes -= conversation.runs.byteCount
        }
        requests += 1
        let request = HintQueue.Request(peer: peer, number: requests, hints: hints)
        underWay = request
        return request
    }
}

extension HintQueue.Pending {
    /// - Returns: How many bytes of texts more, or fewer, it has.
    fileprivate mutating func add(_ head: Int, _ userIDs: [String], _ text: UnsafeRawBufferPointer?) -> Int {
        let before = runs.byteCount
        runs.add(head, text)
        for userID in userIDs {
            if let place = members.firstIndex(where: { $0.userID == userID }) {
                members[place].head = max(members[place].head, head)
            } else {
                members.append((userID, head))
            }
        }
        return runs.byteCount - before
    }

    /// One of each run, oldest first, for all members who are to be sent as much.
    fileprivate func hints(_ conversationID: String) -> [DeliveryHint] {
        if members.count == 1 { return hints(conversationID, members[0].head, [members[0].userID]) }
        return Dictionary(grouping: members, by: \.head)
            .flatMap { hints(conversationID, $0, $1.map(\.userID).sorted()) }
    }

    private func hints(_ conversationID: String, _ head: Int, _ userIDs: [String]) -> [DeliveryHint] {
        runs.runs(upTo: head)
            .map { DeliveryHint(conversationID: conversationID, head: $0.last, userIDs: userIDs, texts: $0.texts) }
    }
}
