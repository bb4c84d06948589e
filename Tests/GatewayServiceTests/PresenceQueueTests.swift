import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

/// Presence's side, as its contract has it: events once, in order; a gap, an unknown registration or a stream without
/// announcement is a conflict; an announcement replaces everything.
private struct PresenceModel {
    struct Conflict: Error {}

    private(set) var registration: Int?
    private(set) var users: Set<String> = []
    private var nextRegistration = 100
    private var nextEvent = 1
    private var hasAnnounced = false
    private var named: Set<String>?

    mutating func heartbeat() -> Int {
        if let registration { return registration }
        nextRegistration += 1
        registration = nextRegistration
        nextEvent = 1
        hasAnnounced = false
        named = nil
        users = []
        return nextRegistration
    }

    /// It restarted, or has not heard of the gateway for too long.
    mutating func forget() { registration = nil }

    mutating func apply(_ batch: (registration: Int, first: Int, events: [PresenceEvent])) throws(Conflict) {
        guard batch.registration == registration else { throw Conflict() }
        if batch.events.first?.kind == .announceBegin {
            hasAnnounced = true
        } else {
            guard hasAnnounced, batch.first <= nextEvent else { throw Conflict() }
        }
        for event in batch.events.dropFirst(max(nextEvent - batch.first, 0)) {
            let user = event.userID ?? ""
            switch event.kind {
            case .announceBegin: named = []
            case .announceEnd:
                if let named { users.formIntersection(named) }
                named = nil
            case .join:
                users.insert(user)
                named?.insert(user)
            case .leave:
                users.remove(user)
                named?.remove(user)
            }
        }
        nextEvent = max(nextEvent, batch.first + batch.events.count)
    }
}

@Suite("Presence queue")
struct PresenceQueueTests {
    private func identity(_ user: String) -> Identity {
        Identity(userID: user, userName: user, userType: .customer)
    }

    private func kinds(_ batch: (registration: Int, first: Int, events: [PresenceEvent])?) -> [PresenceEvent.Kind] {
        batch?.events.map(\.kind) ?? []
    }

    @Test("says nothing without a registration, then announces who is there")
    func announces() {
        var queue = PresenceQueue()
        queue.joined(identity("a"))
        #expect(queue.next() == nil)
        queue.registered(7)
        let batch = queue.next()
        #expect(batch?.registration == 7)
        #expect(batch?.first == 1)
        #expect(kinds(batch) == [.announceBegin, .join, .announceEnd])
    }

    @Test("repeats a batch until it is taken, with one number for each event")
    func repeats() {
        var queue = PresenceQueue()
        queue.registered(7)
        #expect(kinds(queue.next()) == [.announceBegin, .announceEnd])
        #expect(kinds(queue.next()) == [.announceBegin, .announceEnd])
        queue.taken(registration: 7, first: 1, count: 2)
        #expect(queue.next() == nil)
        queue.joined(identity("a"))
        queue.left(identity("a"))
        #expect(queue.next()?.first == 3)
        #expect(kinds(queue.next()) == [.join, .leave])
        queue.taken(registration: 7, first: 3, count: 1)
        #expect(queue.next()?.first == 4)
        #expect(kinds(queue.next()) == [.leave])
    }

    @Test("only the last connection of a user is a leave")
    func connections() {
        var queue = PresenceQueue()
        queue.registered(7)
        _ = queue.next()
        queue.taken(registration: 7, first: 1, count: 2)
        for _ in 0..<2 { queue.joined(identity("a")) }
        queue.left(identity("a"))
        #expect(queue.userCount == 1)
        #expect(kinds(queue.next()) == [.join, .join])
        queue.left(identity("a"))
        #expect(queue.userCount == 0)
        #expect(kinds(queue.next()) == [.join, .join, .leave])
        queue.left(identity("a"))
        queue.left(identity("nobody"))
        #expect(kinds(queue.next()) == [.join, .join, .leave])
    }

    @Test("answers to what is no longer being asked are ignored")
    func staleAnswers() {
        var queue = PresenceQueue()
        queue.registered(7)
        _ = queue.next()
        queue.registered(8)
        #expect(queue.taken(registration: 7, first: 1, count: 2) == [])
        #expect(queue.next()?.first == 3)
        queue.taken(registration: 8, first: 4, count: 2)
        #expect(kinds(queue.next()) == [.announceBegin, .announceEnd])
        queue.registered(nil)
        #expect(queue.next() == nil)
    }

    @Test("a heartbeat's answer that comes late leaves no number to be used twice in a registration")
    func lateRegistration() {
        var queue = PresenceQueue()
        var presence = PresenceModel()
        let former = presence.heartbeat()
        queue.registered(former)
        presence.forget()
        queue.registered(presence.heartbeat())
        queue.joined(identity("a"))
        while let batch = queue.next() {
            try? presence.apply(batch)
            queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
        }
        // The answer from before presence forgot; then the next one.
        queue.registered(former)
        #expect(queue.next()?.registration == former)
        queue.loseContinuity()
        queue.joined(identity("b"))
        queue.registered(presence.heartbeat())
        while let batch = queue.next() {
            #expect(throws: Never.self) { try presence.apply(batch) }
            queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
        }
        #expect(presence.users == ["a", "b"])
    }

    @Test("says whose joins were answered: a connection's own, and everybody's when they are announced")
    func answeredJoins() {
        var queue = PresenceQueue()
        queue.joined(identity("a"))
        queue.registered(7)
        let announced = queue.next()
        // Joined while the announcement is under way: its answer says nothing of this connection.
        queue.joined(identity("b"))
        queue.left(identity("a"))
        #expect(queue.taken(registration: 7, first: 1, count: announced?.events.count ?? 0) == ["a"])
        let batch = queue.next()
        queue.joined(identity("b"))
        #expect(queue.taken(registration: 7, first: batch?.first ?? 0, count: batch?.events.count ?? 0) == ["b"])
        #expect(queue.next()?.events.map(\.userID) == ["b"])
        queue.loseContinuity()
        #expect(queue.taken(registration: 7, first: 4, count: 1) == [])
        let again = queue.next()
        let count = again?.events.count ?? 0
        #expect(queue.taken(registration: 7, first: again?.first ?? 0, count: count) == ["b"])
    }

    @Test("an announcement after lost answers takes numbers that were never sent")
    func freshNumbers() {
        var queue = PresenceQueue(waitingMax: 4)
        var presence = PresenceModel()
        queue.registered(presence.heartbeat())
        for user in ["a", "b", "c"] { queue.joined(identity(user)) }
        // Applied, and the answer is lost; meanwhile more happens than may wait.
        if let batch = queue.next() { try? presence.apply(batch) }
        for round in 0..<10 { queue.joined(identity("d\(round)")) }
        for round in 0..<10 { queue.left(identity("d\(round)")) }
        queue.left(identity("a"))
        while let batch = queue.next() {
            #expect(throws: Never.self) { try presence.apply(batch) }
            queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
        }
        #expect(presence.users == ["b", "c"])
    }

    @Test("more users than events may wait still come through")
    func manyUsers() throws {
        var queue = PresenceQueue(waitingMax: 10)
        var presence = PresenceModel()
        queue.registered(presence.heartbeat())
        for number in 0..<2500 { queue.joined(identity("u\(number)")) }
        var batches = 0
        while let batch = queue.next(), batches < 100 {
            #expect(batch.events.count <= PresenceEvents.eventsMax)
            try presence.apply(batch)
            queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
            queue.joined(identity("late\(batches)"))
            batches += 1
            if batches > 3 { break }
        }
        while let batch = queue.next() {
            try presence.apply(batch)
            queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
            batches += 1
        }
        #expect(presence.users.count == queue.userCount)
        #expect(batches < 10)
    }

    @Test("lost answers, delays, repeats, conflicts, restarts: in the end presence has the same users")
    func simulation() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for run in 0..<600 {
            var queue = PresenceQueue(waitingMax: Int.random(in: 1...30, using: &random))
            var presence = PresenceModel()
            var connections: [String: Int] = [:]
            var delayed: [(registration: Int, first: Int, events: [PresenceEvent])] = []
            var inFlight: (registration: Int, first: Int, events: [PresenceEvent])?
            for _ in 0..<Int.random(in: 0...200, using: &random) {
                let user = "u\(Int.random(in: 0..<8, using: &random))"
                switch Int.random(in: 0..<12, using: &random) {
                case 0...3:
                    queue.joined(identity(user))
                    connections[user, default: 0] += 1
                case 4...6:
                    guard let count = connections[user] else { continue }
                    queue.left(identity(user))
                    connections[user] = count > 1 ? count - 1 : nil
                case 7: if !random.oneIn(3) { queue.registered(presence.heartbeat()) }
                case 8: if random.oneIn(4) { presence.forget() }
                case 9: if let late = delayed.randomElement(using: &random) { try? presence.apply(late) }
                default:
                    // The gateway has one request under way; events gather meanwhile.
                    if inFlight == nil {
                        inFlight = queue.next()
                        if let inFlight { delayed.append(inFlight) }
                        continue
                    }
                    guard let request = inFlight, !random.oneIn(4) else {
                        inFlight = nil
                        continue
                    }
                    inFlight = nil
                    do throws(PresenceModel.Conflict) {
                        try presence.apply(request)
                        // The request was lost, or its answer: either way nothing is heard.
                        if random.oneIn(3) { continue }
                        queue.taken(
                            registration: request.registration,
                            first: request.first,
                            count: request.events.count
                        )
                    } catch {
                        queue.loseContinuity()
                        if Bool.random(using: &random) { queue.registered(presence.heartbeat()) }
                    }
                }
            }
            queue.registered(presence.heartbeat())
            var rounds = 0
            while let batch = queue.next(), rounds < 1000 {
                rounds += 1
                do throws(PresenceModel.Conflict) {
                    try presence.apply(batch)
                    queue.taken(registration: batch.registration, first: batch.first, count: batch.events.count)
                } catch {
                    queue.loseContinuity()
                    queue.registered(presence.heartbeat())
                }
            }
            #expect(presence.users == Set(connections.keys), "seed \(seed), run \(run)")
            #expect(queue.userCount == connections.count)
            guard presence.users == Set(connections.keys) else { return }
        }
    }
}
