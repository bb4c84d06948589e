import TestSupport
import Testing

@testable import PresenceService

/// Gateways, presence and a network that loses, repeats and delays, in one process with one clock.
private struct Simulation {
    struct Batch {
        let registration: Int
        let first: Int
        let events: [PresenceState.Event]
    }

    /// The gateway's side of rule R3, in its simplest form: one batch at a time, sent again until answered.
    struct Gateway {
        let id: String
        var incarnation = 0
        var users: Set<String> = []
        var registration: Int?
        var lastNumber = 0
        var pending: [PresenceState.Event] = []
        var inFlight: Batch?

        mutating func announceAgain() {
            inFlight = nil
            pending = [.announceBegin] + users.sorted().map { .join(.customer($0)) } + [.announceEnd]
        }

        mutating func nextBatch(limit: Int) -> Batch? {
            if let inFlight { return inFlight }
            guard let registration, !pending.isEmpty else { return nil }
            // An announcement that may skip numbers has to stand first in its batch.
            var count = min(limit, pending.count)
            if let begin = pending.dropFirst().firstIndex(of: .announceBegin) { count = min(count, begin) }
            let batch = Batch(registration: registration, first: lastNumber + 1, events: Array(pending.prefix(count)))
            pending.removeFirst(count)
            lastNumber += count
            inFlight = batch
            return batch
        }
    }

    var random: SeededGenerator
    var now = Moment.start
    var presence: PresenceState
    var gateways = ["g1", "g2", "g3"].map { Gateway(id: $0) }
    /// Copies still on the wire: they may arrive at any later time, in any order.
    var late: [(gatewayID: String, batch: Batch)] = []
    /// Who is online, by the news alone.
    var online: Set<String> = []
    var faults: [String] = []

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        presence = PresenceState(firstRegistration: 1, now: now)
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

    mutating func follow(_ news: [PresenceNews]) {
        for item in news {
            let userID = item.identity.userID
            switch item.kind {
            case .joined: if !online.insert(userID).inserted { faults.append("\(userID) joined twice") }
            case .left: if online.remove(userID) == nil { faults.append("\(userID) left twice") }
            case .status: break
            }
        }
    }

    mutating func deliver(_ batch: Batch, from gatewayID: String) -> Bool {
        let result = try? presence.apply(
            batch.events,
            from: gatewayID,
            registration: batch.registration,
            first: batch.first,
            now: now
        )
        follow(result?.news ?? [])
        return result != nil
    }

    mutating func heartbeat(_ index: Int) {
        let gateway = gateways[index]
        let number = try? presence.heartbeat(
            gateway.id,
            url: "http://\(gateway.id)",
            incarnation: String(gateway.incarnation),
            connections: 1,
            draining: false,
            now: now
        )
        guard number != gateways[index].registration else { return }
        gateways[index].registration = number
        gateways[index].lastNumber = 0
        gateways[index].announceAgain()
    }

    mutating func send(_ index: Int, faulty: Bool) {
        let limit = Int.random(in: 1...4, using: &random)
        guard let batch = gateways[index].nextBatch(limit: limit) else { return }
        let gatewayID = gateways[index].id
        if faulty, chance(20) { late.append((gatewayID, batch)) }
        if faulty, chance(20) { return }
        let isAccepted = deliver(batch, from: gatewayID)
        if faulty, chance(20) { return }
        if isAccepted { gateways[index].inFlight = nil } else { gateways[index].announceAgain() }
    }

    mutating func connect(_ index: Int) {
        let userID = "u\(Int.random(in: 1...8, using: &random))"
        if gateways[index].users.remove(userID) != nil {
            gateways[index].pending.append(.leave(userID: userID))
        } else {
            gateways[index].users.insert(userID)
            gateways[index].pending.append(.join(.customer(userID)))
        }
    }

    mutating func step() {
        let index = Int.random(in: 0..<gateways.count, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: connect(index)
        case 35..<70: send(index, faulty: true)
        case 70..<80: heartbeat(index)
        case 80..<85:
            guard let copy = late.indices.randomElement(using: &random) else { return }
            let (gatewayID, batch) = late.remove(at: copy)
            _ = deliver(batch, from: gatewayID)
        case 85..<97: pass(Milliseconds.random(in: 1...900, using: &random))
        case 97: gateways[index].announceAgain()
        case 98:
            gateways[index] = Gateway(id: gateways[index].id, incarnation: gateways[index].incarnation + 1)
        default:
            // Killed and started empty: what others heard from the former one is void.
            // Two starts within a millisecond, which would give the same registration numbers, are not a thing.
            now = now.advanced(by: 1)
            presence = PresenceState(firstRegistration: Int(now.monotonic) * 1000, now: now)
            online = []
        }
    }

    mutating func pass(_ span: Milliseconds) {
        now = now.advanced(by: span)
        follow(presence.advance(now: now).news)
    }

    /// The network works again; everything on the wire arrives, and every grace passes.
    mutating func quiesce() {
        for (gatewayID, batch) in late.shuffled(using: &random) { _ = deliver(batch, from: gatewayID) }
        late = []
        for _ in 0..<40 {
            for index in gateways.indices {
                heartbeat(index)
                for _ in 0..<40 { send(index, faulty: false) }
            }
            pass(500)
        }
    }
}

@Suite("Presence under a bad network")
struct PresenceSimulationTests {
    @Test("whatever is lost, repeated, delayed or restarted, presence ends with what the gateways have")
    func convergence() {
        let base = UInt64.random(in: 0..<1 << 32)
        for seed in base..<base + 200 {
            var simulation = Simulation(seed: seed)
            for _ in 0..<400 { simulation.step() }
            simulation.quiesce()
            var expected: [String: [String]] = [:]
            for gateway in simulation.gateways {
                for userID in gateway.users { expected[userID, default: []].append(gateway.id) }
            }
            for number in 1...8 {
                let userID = "u\(number)"
                let found = simulation.presence.gateways(of: userID)
                #expect(found == expected[userID, default: []], "seed \(seed): \(userID)")
            }
            #expect(simulation.online == Set(expected.keys), "seed \(seed): the news")
            #expect(simulation.faults == [], "seed \(seed)")
            #expect(simulation.presence.table.count == expected.count, "seed \(seed)")
        }
    }

    @Test("the grace agrees with a plain account of who was attached when")
    func graces() {
        let base = UInt64.random(in: 0..<1 << 32)
        for seed in base..<base + 100 {
            var random = SeededGenerator(seed: seed)
            var table = PresenceTable(usersMax: 100)
            var attached: [String: Set<Int>] = [:]
            var leavesAt: [String: Milliseconds] = [:]
            var online: Set<String> = []
            var now = Moment.start
            for _ in 0..<300 {
                let userID = "u\(Int.random(in: 1...5, using: &random))"
                let place = Int.random(in: 1...3, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0:
                    let outcome = table.attach(.customer(userID), to: place, now: now)
                    #expect((outcome != .known) == online.insert(userID).inserted, "seed \(seed)")
                    attached[userID, default: []].insert(place)
                    leavesAt[userID] = nil
                case 1:
                    let grace = Milliseconds.random(in: 1...2000, using: &random)
                    table.detach(userID, from: place, grace: grace, now: now)
                    guard attached[userID]?.remove(place) != nil, attached[userID]?.isEmpty == true else { continue }
                    leavesAt[userID] = now.monotonic + grace
                default:
                    now = now.advanced(by: Milliseconds.random(in: 1...1000, using: &random))
                    let due = leavesAt.filter { $0.value <= now.monotonic }.map(\.key)
                    #expect(table.expire(now: now).words.sorted() == due.map { "left:\($0)" }.sorted(), "seed \(seed)")
                    for userID in due {
                        leavesAt[userID] = nil
                        online.remove(userID)
                    }
                }
                #expect(table.count == online.count, "seed \(seed)")
                #expect(table.nextDeadline == leavesAt.values.min(), "seed \(seed)")
            }
        }
    }
}
