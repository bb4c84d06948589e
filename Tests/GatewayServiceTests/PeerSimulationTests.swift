import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

/// Several gateways' sides of delivery, with presence and a log between them, in a time of their own.
///
/// Messages are late or lost, presence is silent or starts anew, gateways are cut off, die and come back, users move.
/// Nobody sweeps: in the end, once all that is over, everybody has been told of every entry all the same.
struct PeerWorld {
    static let lease = 200
    static let silence: Int64 = 1000
    static let users = (0..<6).map { "u\($0)" }
    static let conversations: [String: [String]] = [
        "c:0": ["u0", "u1"], "c:1": ["u2", "u3"], "d:0": ["u1", "u3"], "d:1": ["u4", "u5", "u0"],
    ]
    static let gatewayIDs = ["g0", "g1", "g2"]

    /// A connection, and how far it knows each conversation.
    struct Session {
        let user: String
        var known: [String: Int] = [:]
    }

    struct Gateway {
        let id: String
        let incarnation: String
        var isAlive = true
        var router: HintRouter
        var queue = PresenceQueue()
        var reads = HeadReads()
        var sessions: [Int: Session] = [:]
        var isReporting = false
        var isCutFromPresence = false
        var isCutFromPeers = false
        var beatAt: Int64 = 0
    }

    private struct Event {
        let at: Int64
        let order: Int
        let run: (inout PeerWorld) -> Void
    }

    var random: SeededGenerator
    var now: Int64 = 10_000
    var presence = PresenceWorld(lease: lease, silence: silence)
    var heads: [String: Int] = [:]
    var gateways: [String: Gateway] = [:]
    /// Whether anything gets lost or is late for long.
    var isCalm = false
    private var events: [Event] = []
    private var order = 0
    private var incarnations = 0
    private var sessions = 0

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        for id in Self.gatewayIDs { start(id) }
    }

    // MARK: - Time

    mutating func after(_ delay: Int64, _ run: @escaping (inout PeerWorld) -> Void) {
        order += 1
        events.append(Event(at: now + delay, order: order, run: run))
    }

    /// Lets a millisecond pass: what arrives in it, then what every gateway does.
    mutating func tick() {
        now += 1
        let due = events.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        events.removeAll { $0.at <= now }
        for event in due { event.run(&self) }
        for id in Self.gatewayIDs where gateways[id]?.isAlive == true { turn(id) }
    }

    private mutating func delay() -> Int64 {
        Int64.random(in: 1...(!isCalm && random.oneIn(5) ? 400 : 8), using: &random)
    }

    private mutating func isLost() -> Bool { !isCalm && random.oneIn(8) }

    // MARK: - Gateways

    mutating func start(_ id: String) {
        incarnations += 1
        gateways[id] = Gateway(id: id, incarnation: "i\(incarnations)", router: HintRouter(ownID: id))
    }

    /// Runs on the incarnation that is there now, if it still is.
    private mutating func on(
        _ id: String,
        _ incarnation: String,
        after delay: Int64,
        _ run: @escaping (inout PeerWorld) -> Void
    ) {
        after(delay) { world in
            guard let gateway = world.gateways[id], gateway.isAlive, gateway.incarnation == incarnation else { return }
            run(&world)
        }
    }

    private mutating func turn(_ id: String) {
        guard let gateway = gateways[id] else { return }
        if now >= gateway.beatAt {
            gateways[id]?.beatAt = now + Int64(Self.lease / 2)
            beat(id)
        }
        if !gateway.isReporting, let batch = gateways[id]?.queue.next() {
            report(id, batch.registration, batch.first, batch.events)
        }
        if let question = gateways[id]?.router.nextQuestion(now: now) { ask(id, question) }
        for request in gateways[id]?.router.nextHints(now: now) ?? [] { send(id, request) }
        for user in gateways[id]?.reads.next(now: now) ?? [] { readHeads(id, user) }
    }

    /// Asks presence: what it answers comes back, or nothing does.
    private mutating func askPresence<Answer>(
        _ id: String,
        _ question: @escaping (inout PeerWorld) -> Answer,
        _ take: @escaping (inout PeerWorld, Answer?) -> Void
    ) {
        guard let incarnation = gateways[id]?.incarnation else { return }
        let isCut = gateways[id]?.isCutFromPresence == true
        guard !isCut, presence.isUp, !isLost() else {
            return on(id, incarnation, after: 30) { take(&$0, nil) }
        }
        let isAnswerLost = isLost()
        let back = delay()
        after(delay()) { world in
            guard world.presence.isUp else { return world.on(id, incarnation, after: 30) { take(&$0, nil) } }
            let answer = question(&world)
            world.on(id, incarnation, after: isAnswerLost ? 30 : back) { take(&$0, isAnswerLost ? nil : answer) }
        }
    }

    private mutating func beat(_ id: String) {
        guard let incarnation = gateways[id]?.incarnation else { return }
        let sentAt = now
        askPresence(id) {
            $0.presence.heartbeat(id, incarnation: incarnation, now: $0.now)
        } _: { world, answer in
            guard let answer, var gateway = world.gateways[id] else { return }
            gateway.queue.registered(answer.registration)
            if gateway.router.heard(answer, sentAt: sentAt, now: world.now) {
                gateway.reads.lost(Array(Set(gateway.sessions.values.map(\.user))).sorted(), now: world.now)
            }
            world.gateways[id] = gateway
        }
    }

    private mutating func report(_ id: String, _ registration: Int, _ first: Int, _ events: [PresenceEvent]) {
        gateways[id]?.isReporting = true
        let batch = PresenceEvents(gatewayID: id, registration: registration, first: first, events: events)
        askPresence(id) { world -> Bool in
            do throws(PresenceWorld.Conflict) {
                try world.presence.apply(batch, now: world.now)
                return true
            } catch {
                return false
            }
        } _: { world, isApplied in
            guard var gateway = world.gateways[id] else { return }
            gateway.isReporting = false
            if isApplied == true {
                let joined = gateway.queue.taken(registration: registration, first: first, count: events.count)
                gateway.reads.joined(
                    joined,
                    now: world.now,
                    leaseMilliseconds: Self.lease
                )
            } else if isApplied == false {
                gateway.queue.loseContinuity()
                gateway.beatAt = world.now
            }
            world.gateways[id] = gateway
        }
    }

    private mutating func ask(_ id: String, _ question: HintRouter.Question) {
        askPresence(id) {
            $0.presence.locate(question.userIDs, now: $0.now)
        } _: { world, answer in
            if let answer {
                world.gateways[id]?.router.answered(question, answer, now: world.now)
            } else {
                world.gateways[id]?.router.unanswered(question, now: world.now)
            }
        }
    }

    private mutating func send(_ id: String, _ request: HintQueue.Request) {
        guard let gateway = gateways[id] else { return }
        let target = request.peer.gatewayID
        let (incarnation, isAnswerLost, back) = (gateway.incarnation, isLost(), delay())
        guard !gateway.isCutFromPeers, gateways[target]?.isCutFromPeers == false, !isLost() else {
            return on(id, incarnation, after: 30) { $0.gateways[id]?.router.failed(request, now: $0.now) }
        }
        after(delay()) { world in
            let isTaken = world.gateways[target]?.isAlive == true
            if isTaken { world.take(request.hints, target) }
            world.on(id, incarnation, after: back) { world in
                if isTaken, !isAnswerLost {
                    world.gateways[id]?.router.taken(request)
                } else {
                    world.gateways[id]?.router.failed(request, now: world.now)
                }
            }
        }
    }

    private mutating func take(_ hints: DeliveryHints, _ id: String) {
        guard var gateway = gateways[id] else { return }
        if hints.readAll {
            gateway.reads.lost(Array(Set(gateway.sessions.values.map(\.user))).sorted(), now: now)
        }
        for hint in hints.entries {
            for (number, session) in gateway.sessions where hint.userIDs.contains(session.user) {
                gateway.sessions[number]?.note(hint.conversationID, hint.head)
            }
        }
        gateways[id] = gateway
    }

    private mutating func readHeads(_ id: String, _ user: String) {
        guard let incarnation = gateways[id]?.incarnation else { return }
        let back = delay()
        let hasFailed = isLost()
        after(delay()) { world in
            let heads = world.heads
            world.on(id, incarnation, after: back) { world in
                world.gateways[id]?.reads.ended(user, isRead: !hasFailed, now: world.now)
                guard !hasFailed, let gateway = world.gateways[id] else { return }
                for (number, session) in gateway.sessions where session.user == user {
                    for (conversation, head) in heads { world.gateways[id]?.sessions[number]?.note(conversation, head) }
                }
            }
        }
    }

    // MARK: - People

    mutating func connect(_ user: String, to id: String) {
        guard let incarnation = gateways[id]?.incarnation, gateways[id]?.isAlive == true else { return }
        sessions += 1
        let number = sessions
        gateways[id]?.sessions[number] = Session(user: user)
        gateways[id]?.queue.joined(Identity(userID: user, userName: user, userType: .customer))
        // Its positions are read at once, before presence knows of it.
        let back = delay()
        after(1) { world in
            let heads = world.heads
            world.on(id, incarnation, after: back) { world in
                for (conversation, head) in heads { world.gateways[id]?.sessions[number]?.note(conversation, head) }
            }
        }
    }

    mutating func disconnect(_ number: Int, from id: String) {
        guard let session = gateways[id]?.sessions.removeValue(forKey: number) else { return }
        gateways[id]?.queue.left(Identity(userID: session.user, userName: session.user, userType: .customer))
    }

    /// A gateway appends an entry, and delivers it to its own.
    mutating func commit(_ conversation: String, at id: String) {
        guard var gateway = gateways[id], gateway.isAlive else { return }
        heads[conversation, default: 0] += 1
        let head = heads[conversation, default: 0]
        let members = Self.conversations[conversation] ?? []
        for (number, session) in gateway.sessions where members.contains(session.user) {
            gateway.sessions[number]?.note(conversation, head)
        }
        if now >= gateway.router.list.aloneUntil { gateway.router.committed(conversation, head, members, now: now) }
        gateways[id] = gateway
    }

    /// Members who have not been told of an entry.
    var untold: [String] {
        gateways.values.filter(\.isAlive).flatMap { gateway in
            gateway.sessions.values.flatMap { session in
                heads.compactMap { conversation, head in
                    guard Self.conversations[conversation]?.contains(session.user) == true,
                        session.known[conversation, default: 0] < head
                    else { return nil }
                    return "\(session.user) at \(gateway.id): \(conversation) \(head)"
                }
            }
        }
    }
}

extension PeerWorld.Session {
    mutating func note(_ conversation: String, _ head: Int) {
        known[conversation] = max(known[conversation, default: 0], head)
    }
}

@Suite("Several gateways, simulated: no entry stays untold")
struct PeerSimulationTests {
    @Test("through losses, delays, silence, restarts, partitions and moves", arguments: 0..<24)
    func simulation(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var world = PeerWorld(seed: seed)
        for user in PeerWorld.users { connect(user, &world) }
        for _ in 0..<6000 {
            if world.random.oneIn(25) { step(&world) }
            world.tick()
        }
        settle(&world)
        // The last entries are those of a calm world, which hints alone have to bring.
        for conversation in PeerWorld.conversations.keys.sorted() {
            world.commit(conversation, at: PeerWorld.gatewayIDs.randomElement(using: &world.random) ?? "")
        }
        for _ in 0..<150 { world.tick() }
        #expect(world.untold.isEmpty, "seed \(seed): \(world.untold.prefix(3))")
    }

    /// All that is broken is mended, and what was late arrives.
    private func settle(_ world: inout PeerWorld) {
        world.isCalm = true
        world.presence.isUp = true
        for id in PeerWorld.gatewayIDs {
            world.gateways[id]?.isCutFromPresence = false
            world.gateways[id]?.isCutFromPeers = false
            if world.gateways[id]?.isAlive == false { world.start(id) }
        }
        for _ in 0..<4000 { world.tick() }
        #expect(world.untold.isEmpty, "\(world.untold.prefix(3))")
        for id in PeerWorld.gatewayIDs {
            let users = Set(world.gateways[id]?.sessions.values.map(\.user) ?? [])
            #expect(world.presence.users(of: id) == users)
            #expect(world.gateways[id]?.router.isIdle == true)
        }
    }

    private func connect(_ user: String, _ world: inout PeerWorld) {
        let alive = PeerWorld.gatewayIDs.filter { world.gateways[$0]?.isAlive == true }
        guard let id = alive.randomElement(using: &world.random) else { return }
        world.connect(user, to: id)
    }

    private func step(_ world: inout PeerWorld) {
        let id = PeerWorld.gatewayIDs.randomElement(using: &world.random) ?? ""
        switch Int.random(in: 0..<40, using: &world.random) {
        case 0..<24:
            let conversation = PeerWorld.conversations.keys.sorted().randomElement(using: &world.random) ?? ""
            world.commit(conversation, at: id)
        case 24..<32:
            // Someone moves, or opens another device.
            guard let user = PeerWorld.users.randomElement(using: &world.random) else { return }
            if !world.random.oneIn(4) {
                for (id, gateway) in world.gateways {
                    for (number, session) in gateway.sessions where session.user == user {
                        world.disconnect(number, from: id)
                    }
                }
            }
            connect(user, &world)
        case 32: world.presence.restart()
        case 33: world.presence.isUp = world.presence.isUp ? !world.random.oneIn(3) : true
        case 34, 35: world.gateways[id]?.isCutFromPresence.toggle()
        case 36, 37: world.gateways[id]?.isCutFromPeers.toggle()
        default: crash(id, &world)
        }
    }

    /// A gateway dies, its users come back elsewhere; or a dead one starts again.
    private func crash(_ id: String, _ world: inout PeerWorld) {
        guard let gateway = world.gateways[id] else { return }
        guard gateway.isAlive else { return world.start(id) }
        // One that presence has lost sight of can die with what only a sweep finds.
        let others = PeerWorld.gatewayIDs.filter { $0 != id }
        let isListed = others.allSatisfy { other in
            world.gateways[other]?.isAlive == true
                && world.gateways[other]?.router.list.peers[id]?.registration
                    == world.presence.registration(of: id)
        }
        guard isListed, world.presence.registration(of: id) != nil, gateway.queue.registration != nil else { return }
        world.gateways[id]?.isAlive = false
        for session in gateway.sessions.values.sorted(by: { $0.user < $1.user }) { connect(session.user, &world) }
        world.gateways[id]?.sessions = [:]
    }
}
