import Contracts
import Core

/// Gateways, presence, clients and the log in one process, on a network that delays, loses, repeats and parts.
///
/// After every step each client checks what it was sent (invariants 1, 2, 4 and R7). At the end the network heals and
/// everything has to arrive (invariant 3): within the spans of leases and registrations, and where gateways are killed
/// that nobody knows, within a sweep. What is said after that has to arrive by hints, at once.
struct DeliveryWorld: World {
    static let userIDs = ["u1", "u2", "a1", "a2"]
    static let conversationIDs = ["c:u1", "c:u2", "d:a1:a2"]

    enum Request {
        case heartbeat(connections: Int, sentAt: Int64)
        case events(PresenceEvents)
        case locate(HintRouter.Question)
        case hint(HintQueue.Request)
    }

    enum Answer {
        case registration(GatewayRegistration)
        /// Of events: whether they were taken.
        case taken(Bool)
        case locations(Locations)
        case done
    }

    struct Message {
        let gateway: Int
        let incarnation: Int
        let request: Request
        /// `nil` on the way there.
        var answer: Answer?
        /// A copy that the network made: nobody waits for its answer.
        var isCopy = false
        /// Held up until then.
        var notBefore = Int64.min
    }

    struct Connection {
        let number: Int
        let client: Int
        let gateway: Int
        var toGateway: [SimulatedClient.ClientFrame] = []
        var toClient: [SimulatedClient.ServerFrame] = []
        /// The client is gone, and the gateway has not noticed.
        var isHalfOpen = false
    }

    var random: SeededGenerator
    let bug: PlantedBug?
    /// Whether gateways are killed.
    let hasKills: Bool
    /// Whether gateways read everybody's heads again and again, without which nothing but the end of a gateway that the
    /// others did not know may go untold.
    let hasSweeps: Bool
    /// Whether hints carry texts, which they may always go without.
    let hasTexts: Bool
    var now: Moment
    var log = SimulatedLog(DeliveryWorld.conversationIDs)
    var presence: SimulatedPresence
    var gateways: [SimulatedGateway]
    var clients: [SimulatedClient]
    var connections: [Connection] = []
    var wire: [Message] = []
    /// By gateway: parted from presence, and from the other gateways.
    var isCutOff: [Bool]
    var isParted: [Bool]
    var lastNumber = 0
    var isFaulty = true
    var steps = 0
    var faults: [String] = []

    init(seed: UInt64, bug: PlantedBug?) {
        random = SeededGenerator(seed: seed)
        self.bug = bug
        hasKills = bug.map { $0 == .crashBetweenCommitAndHint || $0 == .lossNotHeard } ?? (seed % 2 == 1)
        hasSweeps = hasKills && bug != .lossNotHeard && (bug != nil || seed / 8 % 2 == 0)
        hasTexts = bug != nil || seed / 16 % 4 != 0
        now = Moment(monotonic: 1_000_000, wall: Timestamp(milliseconds: 1_700_000_000_000))
        presence = SimulatedPresence(now: now, bug: bug)
        let start = now.monotonic
        let count = 2 + random.next(below: 2)
        gateways = (1...count).map { SimulatedGateway(id: "g\($0)", now: start) }
        isCutOff = Array(repeating: false, count: count)
        isParted = Array(repeating: false, count: count)
        clients = Self.userIDs.indices.map { SimulatedClient(user: $0, conversations: Self.conversationIDs.count) }
        clients.append(SimulatedClient(user: 0, conversations: Self.conversationIDs.count))
        clients.append(SimulatedClient(user: 2, conversations: Self.conversationIDs.count))
        // Most worlds begin when all have found each other; the others show how they do.
        if chance(80) { warmUp() }
    }

    private mutating func warmUp() {
        isFaulty = false
        for client in clients.indices where chance(80) { connect(client) }
        for _ in 0..<6 {
            settleAll()
            pass(400)
        }
        settleAll()
        steps = 0
        isFaulty = true
    }

    mutating func chance(_ percent: Int) -> Bool { random.next(below: 100) < percent }

    // MARK: - Steps

    /// The first steps: after them nobody says anything new, so that what gets lost is not made good by what follows.
    static let busySteps = 120

    mutating func step() {
        steps += 1
        let isQuiet = steps > Self.busySteps
        let gateway = random.next(below: gateways.count)
        let client = random.next(below: clients.count)
        switch random.next(below: 100) {
        case 0..<30: deliverAny()
        case 30..<52: progress(gateway)
        case 52..<74: exchangeAny()
        case 74..<84: if isQuiet { exchangeAny() } else { write(client) }
        case 84..<86: if isQuiet { deliverAny() } else { writeAsSystem(gateway) }
        case 86..<87: retry(client)
        case 87..<92: clients[client].connection == nil ? connect(client) : meet(client)
        case 92..<98: pass(Int64(1 + random.next(below: 400)))
        default: disturb(gateway)
        }
    }

    /// A connected client goes, sometimes without a word.
    private mutating func meet(_ client: Int) {
        if chance(30) { drop(client, isNoticed: chance(70)) }
    }

    private mutating func disturb(_ gateway: Int) {
        // Where no sweep helps kills are what is tried most.
        switch random.next(below: hasKills ? hasSweeps ? 7 : 20 : 4) {
        case 0: isCutOff[gateway].toggle()
        case 1: isParted[gateway].toggle()
        case 2 where chance(40):
            now = now.advanced(by: 1)
            presence.restart(now: now)
        default:
            guard hasKills else { return isParted[gateway].toggle() }
            if !gateways[gateway].isUp {
                gateways[gateway].isUp = true
            } else if hasSweeps || isKnown(gateway) {
                kill(gateway)
            }
        }
    }

    /// Lets time pass for everybody.
    mutating func pass(_ span: Int64) {
        now = now.advanced(by: span)
        presence.pass(to: now)
        for gateway in gateways.indices where gateways[gateway].isUp { work(gateway) }
    }

    // MARK: - Clients

    func identity(_ client: Int) -> Identity {
        let userID = Self.userIDs[clients[client].user]
        return Identity(userID: userID, userName: userID, userType: userID.hasPrefix("u") ? .customer : .agent)
    }

    mutating func connect(_ client: Int) {
        let up = gateways.indices.filter { gateways[$0].isUp }
        guard clients[client].connection == nil, let gateway = up.randomElement(using: &random) else { return }
        lastNumber += 1
        var connection = Connection(number: lastNumber, client: client, gateway: gateway)
        let cursors = clients[client].cursors.enumerated().compactMap { index, cursor in
            cursor.map { SyncCursor(conversationID: Self.conversationIDs[index], sequence: $0) }
        }
        connection.toGateway.append(.sync(cursors))
        connection.toGateway += clients[client].outbox.filter { $0.acknowledged == nil }.map { .chat($0) }
        connections.append(connection)
        clients[client].connected(lastNumber)
        let session = SimulatedGateway.Session(connection: lastNumber, identity: identity(client))
        if bug != .registerAfterRead { gateways[gateway].events.joined(session.identity) }
        gateways[gateway].sessions.append(session)
        work(gateway)
    }

    mutating func drop(_ client: Int, isNoticed: Bool) {
        guard let number = clients[client].connection,
            let index = connections.firstIndex(where: { $0.number == number })
        else { return }
        clients[client].disconnected()
        connections[index].isHalfOpen = true
        // What it sent before may still come.
        if isNoticed { notice(index) }
    }

    /// The gateway finds that the client is gone.
    mutating func notice(_ index: Int) {
        let connection = connections.remove(at: index)
        guard let session = gateways[connection.gateway].index(of: connection.number) else { return }
        let identity = gateways[connection.gateway].sessions.remove(at: session).identity
        gateways[connection.gateway].events.left(identity)
        work(connection.gateway)
    }

    /// A message to the customer's or the other agent's conversation.
    private mutating func write(_ client: Int) {
        guard clients[client].outbox.count < 12 else { return }
        let isCustomer = clients[client].user < 2
        write(client, to: isCustomer ? clients[client].user : random.next(below: Self.conversationIDs.count))
    }

    mutating func write(_ client: Int, to conversation: Int) {
        var addressee: Int?
        if clients[client].user < 2, chance(30) { addressee = 2 + random.next(below: 2) }
        if conversation == 2 { addressee = 5 - clients[client].user }
        lastNumber += 1
        let message = SimulatedClient.Outgoing(
            clientID: "m\(lastNumber)",
            conversation: conversation,
            addressee: addressee
        )
        clients[client].outbox.append(message)
        say(.chat(message), client)
    }

    private mutating func say(_ frame: SimulatedClient.ClientFrame, _ client: Int) {
        guard let number = clients[client].connection,
            let index = connections.firstIndex(where: { $0.number == number })
        else { return }
        connections[index].toGateway.append(frame)
    }

    /// A message that was not acknowledged yet is sent again.
    mutating func retry(_ client: Int) {
        let open = clients[client].outbox.filter { $0.acknowledged == nil }
        if let message = open.randomElement(using: &random) { say(.chat(message), client) }
    }

    /// Routing's entries, of any gateway.
    private mutating func writeAsSystem(_ gateway: Int) {
        guard gateways[gateway].isUp else { return }
        lastNumber += 1
        let agent = Self.userIDs[2 + random.next(below: 2)]
        let kind: EntryKind =
            switch random.next(below: 4) {
            case 0, 1: .assigned(agentID: agent)
            case 2: .transferred(agentID: chance(50) ? agent : nil)
            default: .closed(asked: 0)
            }
        gateways[gateway].appends.append(
            SimulatedGateway.AppendRequest(
                connection: nil,
                conversation: random.next(below: 2),
                kind: kind,
                sender: EntryKind.system,
                senderType: nil,
                addressee: nil,
                clientID: "s\(lastNumber)"
            )
        )
    }

    private mutating func exchangeAny() {
        if !connections.isEmpty { exchange(random.next(below: connections.count)) }
    }

    /// One frame goes one way.
    mutating func exchange(_ index: Int) {
        if connections[index].isHalfOpen {
            if connections[index].toGateway.isEmpty || chance(20) { return notice(index) }
        } else if !connections[index].toClient.isEmpty, chance(60) {
            let frame = connections[index].toClient.removeFirst()
            let client = connections[index].client
            clients[client].take(frame, log)
            faults += clients[client].takeFaults()
            if case .entry(let conversation, let sequence) = frame, chance(30) {
                log.move(Self.userIDs[clients[client].user], to: sequence, in: conversation)
            }
            return
        }
        guard !connections[index].toGateway.isEmpty else { return }
        let frame = connections[index].toGateway.removeFirst()
        take(frame, connections[index].number, at: connections[index].gateway)
    }

    mutating func send(_ frame: SimulatedClient.ServerFrame, _ connection: Int) {
        if case .entry(let conversation, let sequence) = frame { checkOwn(conversation, sequence, connection) }
        guard let index = connections.firstIndex(where: { $0.number == connection }), !connections[index].isHalfOpen
        else { return }
        connections[index].toClient.append(frame)
    }

    /// What a connection has appended comes back to it as an `Ack`, not as an entry (R7); unless it was there before,
    /// by an earlier connection.
    private mutating func checkOwn(_ conversation: Int, _ sequence: Int, _ connection: Int) {
        let isOwn = gateways.contains { gateway in
            gateway.appended.contains { request, outcome in
                request.connection == connection && request.conversation == conversation
                    && outcome.sequence == sequence && !outcome.isRepeat
            }
        }
        let isKept = gateways.contains { gateway in
            gateway.index(of: connection).map {
                gateway.sessions[$0].delivery.hasWaiting(Self.conversationIDs[conversation], sequence)
            } ?? false
        }
        guard isOwn || isKept else { return }
        faults.append("connection \(connection) was sent its own entry \(sequence) before its Ack")
    }

    // MARK: - Faults

    /// Whether every other gateway is there and has this one's registration on its list, and so hears of its end.
    private func isKnown(_ gateway: Int) -> Bool {
        let id = gateways[gateway].id
        guard let registration = presence.state.registry.gateway(id)?.number,
            gateways[gateway].events.registration == registration
        else { return false }
        return gateways.allSatisfy { other in
            other.id == id || other.isUp && other.router.list.peers[id]?.registration == registration
        }
    }

    /// `kill -9`: what was on its way to the log may have got there.
    private mutating func kill(_ gateway: Int) {
        let waiting = gateways[gateway].appends.count
        let reached = chance(50) ? waiting : random.next(below: waiting + 1)
        for request in gateways[gateway].appends.prefix(reached) { _ = append(request) }
        for index in connections.indices.reversed() where connections[index].gateway == gateway {
            if !connections[index].isHalfOpen { clients[connections[index].client].disconnected() }
            connections.remove(at: index)
        }
        gateways[gateway].kill(now: now.monotonic)
    }
}
