import TestSupport
import Testing

@testable import GatewayService

/// One user's connections over and over, against logs that grow: hints, reads and reconnects in any order.
@Suite("Delivery simulation: once and in order, whatever the interleaving")
struct DeliverySimulationTests {
    /// A conversation's log, and the user's place in it.
    private struct Conversation {
        var head = 0
        /// The entries that this user is to be sent.
        var delivered = 0
        /// The end of the user's membership.
        var ended: Int?
        /// Entries of the user's own.
        var own: Set<Int> = []

        var reach: Int { ended ?? head }
    }

    /// A connection, and what it was sent.
    private struct Connection {
        var state: DeliveryState
        let isSync: Bool
        /// Answers of the log that have not arrived.
        var answers: [(DeliveryState.Read, reach: Int, position: MemberPosition?)] = []
        var isPositionsDue = true
        var wasSyncSent = false
        /// By conversation, what was sent: entries and own `Ack`s, in order.
        var sent: [String: [Int]] = [:]
        var starts: [String: Int] = [:]
        /// By conversation and sequence, how many `Ack`s are wanted: of an own message and its repeats.
        var asked: [String: Int] = [:]
        var acknowledged: [String: Int] = [:]
        var gaps: [String: ClosedRange<Int>] = [:]
        var syncedCount = 0
    }

    private struct World {
        var random: SeededGenerator
        var conversations: [String: Conversation] = ["c:a": .init(), "c:b": .init(), "d:a:b": .init()]
        var connection: Connection
        /// Committed entries whose hint has not arrived at the connection.
        var hints: [(String, Int, isOwn: Bool)] = []
        /// How far conversations reach whose hint was lost: told late.
        var heads: [(String, Int)] = []
        var failures: [String] = []

        init(seed: UInt64) {
            random = SeededGenerator(seed: seed)
            connection = Connection(state: DeliveryState(awaitsSync: false), isSync: false)
        }
    }

    @Test("each entry once, in order, from the position on; own ones as Ack; Synced once", arguments: 0..<200)
    func simulation(round: Int) {
        let seed = UInt64.random(in: 0 ... .max)
        var world = World(seed: seed)
        for _ in 0..<400 { step(&world) }
        settle(&world)
        finish(&world)
        #expect(world.failures.isEmpty, "seed \(seed): \(world.failures.prefix(3))")
    }

    private func step(_ world: inout World) {
        switch Int.random(in: 0..<20, using: &world.random) {
        case 0..<7: commit(&world)
        case 7..<12: hint(&world)
        case 12..<17: progress(&world)
        case 17: Bool.random(using: &world.random) ? pong(&world) : lose(&world)
        case 18: Bool.random(using: &world.random) ? changeMembership(&world) : retry(&world)
        default: if Int.random(in: 0..<6, using: &world.random) == 0 { reconnect(&world) }
        }
    }

    private func commit(_ world: inout World) {
        guard let name = world.conversations.keys.sorted().randomElement(using: &world.random) else { return }
        let burst = Int.random(in: 0..<30, using: &world.random) == 0 ? 1200 : 1
        for _ in 0..<burst {
            world.conversations[name]?.head += 1
            guard let conversation = world.conversations[name], conversation.ended == nil else { continue }
            let isOwn = burst == 1 && Int.random(in: 0..<3, using: &world.random) == 0
            if isOwn { world.conversations[name]?.own.insert(conversation.head) }
            world.hints.append((name, conversation.head, isOwn))
        }
    }

    /// Hints come in the order of commits, as the log gives them.
    private func hint(_ world: inout World) {
        guard !world.hints.isEmpty else { return }
        let (name, sequence, isOwn) = world.hints.removeFirst()
        if isOwn { world.connection.asked["\(name) \(sequence)", default: 0] += 1 }
        switch world.connection.state.offer(name, sequence) {
        case .send:
            sent(&world, name, sequence)
            if isOwn { acknowledge(&world, name, sequence) }
        case .passed: if isOwn { acknowledge(&world, name, sequence) }
        case .behind: if isOwn { world.connection.state.keep(Self.bytes(name, sequence), for: name, sequence) }
        }
    }

    /// A hint does not arrive; a repeat of the message tells how far its conversation reaches, some time (R1).
    private func lose(_ world: inout World) {
        if let (name, sequence, isOwn) = world.hints.first, !isOwn {
            world.hints.removeFirst()
            world.heads.append((name, sequence))
        } else if let (name, head) = world.heads.popLast() {
            world.connection.state.note(name, head: head)
        }
    }

    /// An own message is sent again, on this connection or a later one than its first.
    private func retry(_ world: inout World) {
        let own = world.conversations.filter { $0.value.ended == nil }.sorted { $0.key < $1.key }
            .flatMap { conversation in conversation.value.own.sorted().map { (conversation.key, $0) } }
        // The log answers in order: one whose first answer is still on its way comes after that.
        let answered = own.filter { place in !world.hints.contains { $0.0 == place.0 && $0.1 <= place.1 } }
        guard let (name, sequence) = answered.randomElement(using: &world.random) else { return }
        world.connection.asked["\(name) \(sequence)", default: 0] += 1
        if world.connection.state.offerRepeat(name, sequence) {
            acknowledge(&world, name, sequence)
        } else {
            world.connection.state.keep(Self.bytes(name, sequence), for: name, sequence)
        }
    }

    private static func bytes(_ name: String, _ sequence: Int) -> [UInt8] { Array("\(name) \(sequence)".utf8) }

    private func sent(_ world: inout World, _ name: String, _ sequence: Int) {
        let last = world.connection.sent[name]?.last ?? world.connection.starts[name] ?? 0
        if sequence != last + 1 { world.failures.append("\(name): \(sequence) after \(last)") }
        if let ended = world.conversations[name]?.ended, sequence > ended {
            world.failures.append("\(name): \(sequence) is past the membership's end, \(ended)")
        }
        world.connection.sent[name, default: []].append(sequence)
    }

    private func acknowledge(_ world: inout World, _ name: String, _ sequence: Int) {
        acknowledge(&world, "\(name) \(sequence)")
        let last = world.connection.sent[name]?.last ?? world.connection.starts[name] ?? 0
        if sequence > last { world.failures.append("\(name): \(sequence) acknowledged at \(last)") }
    }

    private func acknowledge(_ world: inout World, _ place: String) {
        world.connection.acknowledged[place, default: 0] += 1
        if world.connection.acknowledged[place, default: 0] > world.connection.asked[place, default: 0] {
            world.failures.append("\(place): acknowledged too often")
        }
    }

    private func positions(_ world: World) -> [MemberPosition] {
        world.conversations.sorted { $0.key < $1.key }.compactMap { name, conversation in
            guard conversation.ended == nil || conversation.delivered < conversation.reach else { return nil }
            return MemberPosition(
                conversationID: name,
                delivered: conversation.delivered,
                head: conversation.reach
            )
        }
    }

    /// The connection's next answer from the log, its `Sync`, or its next question.
    private func progress(_ world: inout World) {
        if world.connection.isPositionsDue { return place(&world) }
        guard !world.connection.answers.isEmpty else {
            if let read = world.connection.state.nextRead() { ask(&world, read) }
            return
        }
        let (read, reach, position) = world.connection.answers.removeFirst()
        switch read {
        case .position(let name):
            world.connection.starts[name] = world.connection.starts[name] ?? position?.delivered
            take(&world, world.connection.state.takePosition(name, position))
        case .entries(let name, let after):
            let last = min(after + 200, reach)
            for sequence in stride(from: after + 1, through: last, by: 1) {
                switch world.connection.state.takeRead(name, sequence) {
                case .send: sent(&world, name, sequence)
                case .acknowledge:
                    sent(&world, name, sequence)
                    acknowledge(&world, name, sequence)
                case .skip: break
                }
            }
            let outputs = world.connection.state.endPage(name, isEmpty: last <= after)
            if outputs == nil { world.failures.append("\(name): stuck after \(after)") }
            take(&world, outputs ?? [])
        }
    }

    private func ask(_ world: inout World, _ read: DeliveryState.Read) {
        switch read {
        case .position(let name):
            let conversation = world.conversations[name] ?? Conversation()
            let position = MemberPosition(
                conversationID: name,
                delivered: conversation.delivered,
                head: conversation.reach
            )
            world.connection.answers.append((read, 0, position))
        case .entries(let name, _):
            world.connection.answers.append((read, world.conversations[name]?.head ?? 0, nil))
        }
    }

    private func place(_ world: inout World) {
        let positions = positions(world)
        world.connection.isPositionsDue = false
        guard world.connection.isSync else {
            for position in positions { world.connection.starts[position.conversationID] = position.delivered }
            return take(&world, world.connection.state.place(positions))
        }
        var cursors: [SyncCursor] = []
        for position in positions {
            guard Bool.random(using: &world.random) else {
                world.connection.starts[position.conversationID] = position.delivered
                continue
            }
            let cursor = Int.random(in: 0...position.head, using: &world.random)
            world.connection.starts[position.conversationID] = cursor
            cursors.append(SyncCursor(conversationID: position.conversationID, sequence: cursor))
        }
        if !world.connection.state.beginSync() { world.failures.append("Sync refused") }
        take(&world, world.connection.state.sync(cursors, positions) { _ in false })
    }

    private func take(_ world: inout World, _ outputs: [DeliveryState.Output]) {
        for output in outputs {
            switch output {
            case .acknowledgement(let bytes): acknowledge(&world, String(decoding: bytes, as: UTF8.self))
            case .gap(let name, let from, let to):
                if from != (world.connection.starts[name] ?? 0) + 1 { world.failures.append("gap from \(from)") }
                world.connection.starts[name] = to
            case .synced: world.connection.syncedCount += 1
            case .refusedCursor(let name, _, _): world.failures.append("cursor refused: \(name)")
            }
        }
    }

    private func pong(_ world: inout World) {
        if world.connection.isSync {
            for (name, sent) in world.connection.sent {
                let delivered = world.conversations[name]?.delivered ?? 0
                world.conversations[name]?.delivered = max(delivered, sent.last ?? 0)
            }
        } else if world.connection.state.isPingOpen {
            for head in world.connection.state.takePong() {
                let delivered = world.conversations[head.conversationID]?.delivered ?? 0
                world.conversations[head.conversationID]?.delivered = max(delivered, head.head)
            }
        } else {
            world.connection.state.coverByPing()
        }
    }

    private func changeMembership(_ world: inout World) {
        guard let name = world.conversations.keys.sorted().randomElement(using: &world.random),
            let conversation = world.conversations[name]
        else { return }
        guard conversation.ended == nil else {
            // Addressed again, by an entry.
            world.conversations[name]?.ended = nil
            world.conversations[name]?.head += 1
            world.hints.append((name, conversation.head + 1, false))
            return
        }
        world.conversations[name]?.head += 1
        world.hints.append((name, conversation.head + 1, false))
        world.conversations[name]?.ended = conversation.head + 1
    }

    private func reconnect(_ world: inout World) {
        finish(&world)
        world.hints = []
        world.heads = []
        let isSync = Bool.random(using: &world.random)
        world.connection = Connection(
            state: DeliveryState(awaitsSync: isSync),
            isSync: isSync
        )
    }

    /// Lets everything arrive.
    private func settle(_ world: inout World) {
        var rounds = 0
        while rounds < 100_000 {
            rounds += 1
            if !world.hints.isEmpty { hint(&world) }
            if let (name, head) = world.heads.popLast() { world.connection.state.note(name, head: head) }
            progress(&world)
            let isIdle =
                world.hints.isEmpty && world.heads.isEmpty && world.connection.answers.isEmpty
                && !world.connection.isPositionsDue && !world.connection.state.wantsRead
            if isIdle { break }
        }
        for (name, conversation) in world.conversations where conversation.ended == nil {
            let last = world.connection.sent[name]?.last ?? world.connection.starts[name]
            // A conversation without an entry since this connection came is unknown to it.
            if let last, last != conversation.head {
                world.failures.append("\(name): ends at \(last) of \(conversation.head)")
            }
        }
        if world.connection.isSync, world.connection.syncedCount != 1 { world.failures.append("not synced") }
        if world.connection.state.waitingAckCount != 0 { world.failures.append("Acks left waiting") }
        for place in world.connection.asked.keys where world.connection.acknowledged[place] == nil {
            world.failures.append("\(place): was never acknowledged")
        }
    }

    private func finish(_ world: inout World) {
        if world.connection.syncedCount > 1 { world.failures.append("synced twice") }
    }
}
