/// What one connection is sent of its conversations, and when: the whole of its delivery, without any I/O.
///
/// Inputs are live entries, answers of the log, the client's `Sync`, and pongs; what to send, and what to read next,
/// come out. A simulation can drive it as a connection does (DESIGN §4, Invariants 2 and 4, R7).
struct DeliveryState {
    /// What the connection waits for before anything with a `seq` is sent.
    enum Phase: Equatable {
        /// The stored positions.
        case placing
        /// The client's `Sync`.
        case awaitingSync
        /// The positions that go with the `Sync` that came.
        case syncing
        case flowing
    }

    /// Something to send.
    enum Output: Equatable {
        /// An `Ack` whose place is reached, or will not come.
        case acknowledgement([UInt8])
        /// Entries left out: the client pages them over REST.
        case gap(conversationID: String, from: Int, to: Int)
        /// A cursor of the `Sync` that counts for nothing.
        case refusedCursor(conversationID: String, isForeign: Bool, head: Int)
        /// What the `Sync` asked for has been sent.
        case synced(heads: [Head])
    }

    struct Head: Equatable {
        let conversationID: String
        let head: Int
    }

    /// What to ask the log for.
    enum Read: Equatable {
        case position(String)
        case entries(String, after: Int)
    }

    /// What to do with an entry.
    enum Step: Equatable {
        case send
        /// The connection's own: its `Ack` goes in its place, several where it was asked for again.
        case acknowledge([[UInt8]])
        case skip
    }

    /// More entries than these behind a cursor are not sent after a `Sync`: a `Gap` names them.
    static let syncSpan = 1000

    private struct Place: Hashable {
        let conversationID: String
        let sequence: Int
    }

    private(set) var phase: Phase
    private var cursors: [String: DeliveryCursor] = [:]
    /// `Ack`s whose entry's place has not come yet.
    private var waitingAcks: [Place: [[UInt8]]] = [:]
    private(set) var waitingAckCount = 0
    /// Conversations whose next read has to wait its turn: one read at a time, so that what was missed cannot overrun
    /// the connection however many conversations it lies in.
    private var readsDue: ArraySlice<String> = []
    private var isReadUnderWay = false
    /// Gaps that hints may fill yet, with what was sent when they were noted: those since the last look, and before it.
    private var gaps: [Head] = []
    private var olderGaps: [Head] = []
    private var ownBegun = 0
    private var ownEnded = 0
    /// How many own entries have to be answered before the page that was read is taken.
    private var pageAwaits: Int?
    /// Whether pongs tell what was taken: for a client that says so by itself they do not.
    private let countsPongs: Bool
    /// Conversations whose cursor has moved since the last ping; and those that the last ping covers.
    private var moved: [String] = []
    private var pinged: [Head] = []
    /// How far each conversation has to be sent until `Synced`; and what it then says.
    private var syncTargets: [String: Int] = [:]
    private var syncedHeads: [Head]?
    /// Conversations that the connection began with.
    private var placedCount = 0

    /// - Parameter awaitsSync: Whether the client has said that it will send `Sync`.
    init(awaitsSync: Bool) {
        phase = awaitsSync ? .awaitingSync : .placing
        countsPongs = !awaitsSync
    }

    /// Conversations that have come since the connection was placed.
    var newConversationCount: Int { max(cursors.count - placedCount, 0) }

    /// Whether anything of this conversation was seen to be the user's.
    func knows(_ conversationID: String) -> Bool { cursors[conversationID] != nil }

    // MARK: - Hints

    /// How entries up to a head get to this connection.
    enum Reach: Equatable {
        /// They did.
        case reached
        /// By offering those that are at hand.
        case atHand
        /// By a read that others share: it is a few entries behind, and reads nothing by itself.
        case together
        /// By a read of its own.
        case alone
    }

    /// How a conversation that is known to reach a head gets here.
    ///
    /// - Parameter first: The first of the entries up to the head that are at hand; past the head when none are.
    func reach(of conversationID: String, to head: Int, from first: Int, spanMax: Int) -> Reach {
        guard phase == .flowing, let cursor = cursors[conversationID], let sent = cursor.sent else { return .alone }
        if sent >= head { return .reached }
        if cursor.isReading || head - sent > spanMax { return .alone }
        return first <= sent + 1 ? .atHand : .together
    }

    /// The last sequence that was sent of a conversation, when its position is known.
    func sent(in conversationID: String) -> Int? { cursors[conversationID]?.sent }

    // MARK: - Own entries

    /// Own entries that were handed to the log and are not answered.
    var ownUnderWay: Int { ownBegun - ownEnded }

    /// An own entry was handed to the log; answers come in the same order.
    mutating func ownBegan() { ownBegun += 1 }

    /// An own entry was answered, and what follows from that was offered or kept.
    ///
    /// - Returns: Whether the page that waited for it is to be taken now.
    mutating func ownHasEnded() -> Bool {
        ownEnded += 1
        guard let awaited = pageAwaits, ownEnded >= awaited else { return false }
        pageAwaits = nil
        return true
    }

    /// A page was read: whether it waits, because own entries may be in it whose answer has not come, and whose `Ack`
    /// belongs in their place.
    mutating func holdPage() -> Bool {
        guard ownUnderWay > 0 else { return false }
        pageAwaits = ownBegun
        return true
    }

    // MARK: - Live entries

    /// An entry of a conversation of this user's was committed.
    ///
    /// - Parameter mayBeFilled: Whether what is missing before it may be on its way from another gateway: it is read
    ///   then only when it has not come after a while (`readGaps`).
    mutating func offer(
        _ conversationID: String,
        _ sequence: Int,
        mayBeFilled: @autoclosure () -> Bool = false
    ) -> DeliveryCursor.Step {
        let step = cursors[conversationID, default: DeliveryCursor()].offer(sequence)
        switch step {
        case .send(isFirstMove: true): noteMoved(conversationID)
        case .behind(needsRead: true):
            if phase == .flowing, let sent = sent(in: conversationID), mayBeFilled() {
                noteGap(conversationID, after: sent)
            } else {
                readOn(conversationID)
            }
        default: break
        }
        return step
    }

    /// The `Ack`s of the entry after the last one that was sent, when they wait for its place: that has come.
    ///
    /// To be asked after each entry that was sent live, until there are none: no kept `Ack` is ever next.
    mutating func takeNextWaiting(_ conversationID: String) -> [[UInt8]] {
        guard waitingAckCount > 0, let sent = sent(in: conversationID), hasWaiting(conversationID, sent + 1),
            case .send = cursors[conversationID]?.offer(sent + 1)
        else { return [] }
        return takeWaiting(at: Place(conversationID: conversationID, sequence: sent + 1))
    }

    /// Whether an `Ack` waits for this place.
    func hasWaiting(_ conversationID: String, _ sequence: Int) -> Bool {
        waitingAckCount > 0 && waitingAcks[Place(conversationID: conversationID, sequence: sequence)] != nil
    }

    private mutating func takeWaiting(at place: Place) -> [[UInt8]] {
        let taken = waitingAcks.removeValue(forKey: place) ?? []
        waitingAckCount -= taken.count
        return taken
    }

    // MARK: - Gaps

    /// Whether entries are known that hints may bring yet.
    var hasGaps: Bool { !gaps.isEmpty || !olderGaps.isEmpty }

    private mutating func noteGap(_ conversationID: String, after sent: Int) {
        let isGap = { (gap: Head) in gap.conversationID == conversationID }
        guard !gaps.contains(where: isGap), !olderGaps.contains(where: isGap) else { return }
        gaps.append(Head(conversationID: conversationID, head: sent))
    }

    /// Reads what is missing since the look before the last one; called at an interval while there are gaps.
    mutating func readGaps() {
        for gap in olderGaps {
            guard let cursor = cursors[gap.conversationID], cursor.isBehind, let sent = cursor.sent else { continue }
            // Something came meanwhile, and the rest may.
            if sent > gap.head {
                gaps.append(Head(conversationID: gap.conversationID, head: sent))
            } else {
                readOn(gap.conversationID)
            }
        }
        olderGaps = gaps
        gaps = []
    }

    /// The `Ack` of an own entry that cannot be sent yet: kept for its place.
    mutating func keep(_ acknowledgement: [UInt8], for conversationID: String, _ sequence: Int) {
        waitingAcks[Place(conversationID: conversationID, sequence: sequence), default: []].append(acknowledgement)
        waitingAckCount += 1
    }

    /// An own entry that was stored before: whether its `Ack` can be sent at once, else it has to be kept.
    mutating func offerRepeat(_ conversationID: String, _ sequence: Int) -> Bool {
        if let sent = cursors[conversationID]?.sent, sequence <= sent { return true }
        note(conversationID, head: sequence)
        return false
    }

    /// A conversation of this user's reaches that far.
    mutating func note(_ conversationID: String, head: Int) {
        cursors[conversationID, default: DeliveryCursor()].note(head: head)
        readOn(conversationID)
    }

    /// A conversation of this user's reaches that far, and may end there for them.
    mutating func note(_ position: MemberPosition) {
        // Of one that is new here everything was taken, if it has ended: nothing of it is owed.
        if position.hasEnded, cursors[position.conversationID] == nil, position.delivered >= position.head { return }
        note(position.conversationID, head: position.head)
        if position.hasEnded { cursors[position.conversationID]?.end(at: position.head) }
    }

    /// Conversations of which there may be more to send than is known: all but those whose membership has ended, and
    /// of which everything was sent.
    var unsettled: [String] { cursors.filter { !$0.value.isSettled }.map(\.key) }

    // MARK: - Positions

    /// The user's stored positions, for a client that does not `Sync`.
    mutating func place(_ positions: [MemberPosition]) -> [Output] {
        for position in positions {
            cursors[position.conversationID, default: DeliveryCursor()]
                .place(at: position.delivered, head: position.head)
        }
        return flow()
    }

    /// A `Sync` has come; whether it is in order.
    mutating func beginSync() -> Bool {
        guard phase == .awaitingSync else { return false }
        phase = .syncing
        return true
    }

    /// The positions that go with the `Sync`, those of the conversations that it names included.
    mutating func sync(
        _ named: [SyncCursor],
        _ positions: [MemberPosition],
        isOwn: (String) -> Bool
    ) -> [Output] {
        guard phase == .syncing else { return [] }
        var outputs: [Output] = []
        var starts = Dictionary(positions.map { ($0.conversationID, $0.delivered) }) { first, _ in first }
        let heads = Dictionary(positions.map { ($0.conversationID, $0.head) }) { first, _ in first }
        for cursor in named {
            let head = heads[cursor.conversationID]
            if let head, (0...head).contains(cursor.sequence) {
                starts[cursor.conversationID] = cursor.sequence
            } else if head == nil, cursor.sequence == 0, isOwn(cursor.conversationID) {
                // Their own, in which nothing was said yet.
            } else {
                let isForeign = head == nil && !isOwn(cursor.conversationID)
                outputs.append(
                    .refusedCursor(conversationID: cursor.conversationID, isForeign: isForeign, head: head ?? 0)
                )
            }
        }
        for position in positions {
            var start = starts[position.conversationID] ?? position.delivered
            if position.head - start > Self.syncSpan {
                let first = position.head - Self.syncSpan + 1
                outputs.append(.gap(conversationID: position.conversationID, from: start + 1, to: first - 1))
                start = first - 1
            }
            cursors[position.conversationID, default: DeliveryCursor()].place(at: start, head: position.head)
            if start < position.head { syncTargets[position.conversationID] = position.head }
        }
        syncedHeads = positions.map { Head(conversationID: $0.conversationID, head: $0.head) }
        return outputs + flow() + synced()
    }

    private mutating func flow() -> [Output] {
        phase = .flowing
        placedCount = cursors.count
        let outputs = passedAcks { _ in true }
        for (conversationID, cursor) in cursors where cursor.isBehind { readOn(conversationID) }
        return outputs
    }

    private mutating func synced() -> [Output] {
        guard let heads = syncedHeads, syncTargets.isEmpty else { return [] }
        syncedHeads = nil
        return [.synced(heads: heads)]
    }

    /// The `Ack`s whose entry was sent, or left out, before this connection got to its place.
    private mutating func passedAcks(_ isWanted: (String) -> Bool) -> [Output] {
        guard !waitingAcks.isEmpty else { return [] }
        let passed = waitingAcks.keys.filter { place in
            guard isWanted(place.conversationID), let sent = cursors[place.conversationID]?.sent else { return false }
            return place.sequence <= sent
        }
        return passed.sorted { $0.sequence < $1.sequence }
            .flatMap { takeWaiting(at: $0).map(Output.acknowledgement) }
    }

    /// The connection is to be closed: `Ack`s whose places do not come any more; what they say is stored all the same.
    mutating func remainingAcks() -> [[UInt8]] {
        defer { (waitingAcks, waitingAckCount) = ([:], 0) }
        return waitingAcks.sorted { $0.key.sequence < $1.key.sequence }.flatMap(\.value)
    }

    // MARK: - Reading what was missed

    private mutating func readOn(_ conversationID: String) {
        guard phase == .flowing, var cursor = cursors[conversationID], !cursor.isReading, cursor.isBehind else {
            return
        }
        // From now on, also while the read waits its turn, live entries of the conversation wait for it.
        cursor.beginReading()
        cursors[conversationID] = cursor
        readsDue.append(conversationID)
    }

    /// Whether a read waits to be begun.
    var wantsRead: Bool { !isReadUnderWay && !readsDue.isEmpty }

    /// The next read, which then is under way.
    mutating func nextRead() -> Read? {
        guard !isReadUnderWay else { return nil }
        while let conversationID = readsDue.popFirst() {
            guard let cursor = cursors[conversationID] else { continue }
            isReadUnderWay = true
            return cursor.sent.map { .entries(conversationID, after: $0) } ?? .position(conversationID)
        }
        return nil
    }

    /// The answer to `Read.position`.
    mutating func takePosition(_ conversationID: String, _ position: MemberPosition?) -> [Output] {
        isReadUnderWay = false
        guard let position else {
            // Never a member: nothing of it is sent but the answers to what the user did themself.
            cursors[conversationID] = nil
            let orphans = waitingAcks.keys.filter { $0.conversationID == conversationID }
            return orphans.sorted { $0.sequence < $1.sequence }
                .flatMap { takeWaiting(at: $0).map(Output.acknowledgement) }
        }
        var cursor = cursors[conversationID] ?? DeliveryCursor()
        cursor.place(at: start(of: position, heardOf: cursor.firstKnown), head: position.head)
        cursors[conversationID] = cursor
        let outputs = passedAcks { $0 == conversationID }
        readOn(conversationID)
        return outputs
    }

    /// Where this connection begins in a conversation that it did not know.
    ///
    /// The user became a member after the connection was placed, or it would know of it: it begins where they did,
    /// whatever another device of theirs has taken meanwhile. A membership that has ended may also be one from before,
    /// all of which was taken, and told of late: of that no more is sent than was told of.
    private func start(of position: MemberPosition, heardOf first: Int?) -> Int {
        guard position.hasEnded else { return position.start ?? position.delivered }
        guard let first else { return position.delivered }
        return min(position.delivered, max(first - 1, position.start ?? 0))
    }

    /// An entry of the page that `Read.entries` brought, in their order.
    mutating func takeRead(_ conversationID: String, _ sequence: Int) -> Step {
        guard case .send(let isFirstMove) = cursors[conversationID]?.takeRead(sequence) else { return .skip }
        if isFirstMove { noteMoved(conversationID) }
        let own =
            waitingAckCount > 0 ? takeWaiting(at: Place(conversationID: conversationID, sequence: sequence)) : []
        return own.isEmpty ? .send : .acknowledge(own)
    }

    /// The page is at its end.
    ///
    /// - Parameter isEmpty: Whether it had no entry at all.
    /// - Returns: What to send; `nil` when entries that are known to exist were not there.
    mutating func endPage(_ conversationID: String, isEmpty: Bool) -> [Output]? {
        isReadUnderWay = false
        guard var cursor = cursors[conversationID] else { return [] }
        cursor.endReading()
        cursors[conversationID] = cursor
        if cursor.isBehind {
            if isEmpty { return nil }
            readOn(conversationID)
        }
        if let target = syncTargets[conversationID], let sent = cursor.sent, sent >= target {
            syncTargets[conversationID] = nil
            return synced()
        }
        return []
    }

    // MARK: - Pings that find out what was taken

    private mutating func noteMoved(_ conversationID: String) {
        if countsPongs { moved.append(conversationID) }
    }

    /// Whether something was sent that no ping covers, and none is under way.
    var wantsPing: Bool { !moved.isEmpty && pinged.isEmpty }

    /// Whether the last ping that covers something is unanswered.
    var isPingOpen: Bool { !pinged.isEmpty }

    /// A ping goes out that covers what was sent so far.
    mutating func coverByPing() {
        for conversationID in moved {
            guard let sent = cursors[conversationID]?.coverByPing() else { continue }
            pinged.append(Head(conversationID: conversationID, head: sent))
        }
        moved = []
    }

    /// The pong of the newest ping: how far the client has taken each conversation.
    mutating func takePong() -> [Head] {
        defer { pinged = [] }
        return pinged
    }
}
