import Contracts
import Core

/// What presence has to be told: pure, so that any order of joins, answers and restarts can be tried.
///
/// Follows the rules of presence (DESIGN R3): events carry a running number within a registration; whenever
/// continuity is lost, everything is announced again.
struct PresenceQueue {
    /// Events that may wait, beside one for each user; beyond it they are dropped and everything is announced again.
    static let eventsMax = 100_000

    private struct Present {
        let identity: Identity
        var connections: Int
    }

    private var users: [String: Present] = [:]
    private var waiting: [PresenceEvent] = []
    private var nextNumber = 1
    /// The highest number handed out, whether or not an answer came.
    private var sentThrough = 0
    private let waitingMax: Int
    private var needsAnnouncement = true
    private(set) var registration: Int?

    /// - Parameter waitingMax: Events that may wait, beside one for each user.
    init(waitingMax: Int = PresenceQueue.eventsMax) { self.waitingMax = waitingMax }

    /// Users with a connection here.
    var userCount: Int { users.count }

    mutating func joined(_ identity: Identity) {
        users[identity.userID, default: Present(identity: identity, connections: 0)].connections += 1
        push(Self.join(identity))
    }

    mutating func left(_ identity: Identity, silentMilliseconds: Int = 0) {
        guard var present = users[identity.userID] else { return }
        present.connections -= 1
        users[identity.userID] = present.connections > 0 ? present : nil
        guard present.connections == 0 else { return }
        push(PresenceEvent(kind: .leave, userID: identity.userID, silentMilliseconds: max(silentMilliseconds, 0)))
    }

    /// The answer to a heartbeat.
    ///
    /// Another registration than before: announce. Numbers go on: two answers may come in the wrong order, the former
    /// registration then is followed by this one a second time, and presence has seen its first numbers already.
    mutating func registered(_ number: Int?) {
        guard number != registration else { return }
        registration = number
        loseContinuity()
    }

    /// Presence wants everything again.
    mutating func loseContinuity() {
        waiting = []
        needsAnnouncement = true
        // Numbers that were sent may have been applied although no answer came; under one of them an announcement
        // would be taken for a repeat and dropped. It may skip numbers, so it takes fresh ones.
        nextNumber = max(nextNumber, sentThrough + 1)
    }

    /// The next batch to send, the same until `taken` or a loss of continuity.
    ///
    /// `nil` when there is nothing to say, or no registration to say it under.
    mutating func next() -> (registration: Int, first: Int, events: [PresenceEvent])? {
        guard let registration else { return nil }
        if needsAnnouncement {
            needsAnnouncement = false
            waiting = [PresenceEvent(kind: .announceBegin)]
            for present in users.values { waiting.append(Self.join(present.identity)) }
            waiting.append(PresenceEvent(kind: .announceEnd))
        }
        guard !waiting.isEmpty else { return nil }
        let batch = Array(waiting.prefix(PresenceEvents.eventsMax))
        sentThrough = max(sentThrough, nextNumber + batch.count - 1)
        return (registration, nextNumber, batch)
    }

    /// A batch of `next` was applied.
    ///
    /// - Returns: The users whose joins it held, those of an announcement as any other; none when it is not the batch
    ///   that was waited for, and all will be announced again.
    @discardableResult
    mutating func taken(registration: Int, first: Int, count: Int) -> [String] {
        guard registration == self.registration, first == nextNumber, !needsAnnouncement else { return [] }
        let joined = waiting.prefix(count).compactMap { $0.kind == .join ? $0.userID : nil }
        waiting.removeFirst(min(count, waiting.count))
        nextNumber += count
        return joined
    }

    private mutating func push(_ event: PresenceEvent) {
        // An announcement that is still to be made names everybody anyway.
        guard !needsAnnouncement else { return }
        // An announcement itself waits here, so it must not count as too much.
        guard waiting.count < waitingMax + users.count else { return loseContinuity() }
        waiting.append(event)
    }

    private static func join(_ identity: Identity) -> PresenceEvent {
        PresenceEvent(
            kind: .join,
            userID: identity.userID,
            userName: identity.userName,
            userType: identity.userType
        )
    }
}
