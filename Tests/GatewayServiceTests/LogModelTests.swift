import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

@Suite("The log against a plain model")
struct LogModelTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// The log and the model, given the same at random.
    private struct Simulation {
        static let users = ["u1", "u2", "u3", "a1", "a2", "a3", "a4"]
        static let names = ["c:u1", "c:u2", "c:u3", "d:a1:a2"]

        let seed: UInt64
        let path: String
        var random: SeededGenerator
        let bench: EngineBench
        var model = LogModel()
        var step = 0
        private var sent: [Draft] = []
        /// The outbox's numbers by the model's ids.
        private var numbers: [Int: Int64] = [:]

        init(seed: UInt64, path: String) async throws {
            self.seed = seed
            self.path = path
            random = SeededGenerator(seed: seed)
            bench = try await EngineBench(path)
        }

        private var time: Timestamp { Timestamp(milliseconds: 1_768_903_200_000 + Int64(step) * 15_000) }

        private mutating func pick<Value>(_ values: [Value]) -> Value { values[random.next(below: values.count)] }

        // MARK: - Drafts

        private mutating func draft() -> Draft {
            if !sent.isEmpty, random.oneIn(5) {
                // What a client sends again need not be the same in all.
                var again = pick(sent)
                again.content = "again \(step)"
                again.time = time
                return again
            }
            let name = pick(Self.names)
            var draft =
                switch random.next(below: 10) {
                case 0..<6: chat(name)
                case 6, 7: recall(name)
                default: decision(name)
                }
            draft.time = time
            if draft.clientID != nil { sent.append(draft) }
            return draft
        }

        private mutating func clientID() -> String? { random.oneIn(4) ? nil : "k\(random.next(below: 400))" }

        private mutating func chat(_ name: String) -> Draft {
            let agent = "a\(1 + random.next(below: 4))"
            var draft = Draft(
                conversationID: name,
                clientID: clientID(),
                content: "\(step).\(random.next(below: 1000))"
            )
            if name.hasPrefix("d:") {
                (draft.sender, draft.addressee) = random.oneIn(2) ? ("a1", "a2") : ("a2", "a1")
            } else if random.oneIn(2) {
                (draft.sender, draft.addressee) = (agent, String(name.dropFirst(2)))
            } else {
                (draft.sender, draft.addressee) = (String(name.dropFirst(2)), random.oneIn(2) ? agent : nil)
            }
            if draft.clientID != nil, random.oneIn(3) { draft.fileID = "f\(random.next(below: 3))" }
            return draft
        }

        private mutating func recall(_ name: String) -> Draft {
            let head = model.conversations[name]?.entries.count ?? 0
            let target = random.oneIn(3) ? random.next(below: head + 2) : max(head - random.next(below: 4), 0)
            let isOwn = !random.oneIn(4) && (1..<head + 1).contains(target)
            let sender = isOwn ? model.conversations[name]?.entries[target - 1].draft.sender : nil
            return .recall(target, in: name, by: sender ?? pick(Self.users), clientID: clientID())
        }

        private mutating func decision(_ name: String) -> Draft {
            guard name.hasPrefix("c:") else { return chat(name) }
            let agent = "a\(1 + random.next(below: 4))"
            let head = model.conversations[name]?.entries.count ?? 0
            let kind: EntryKind =
                switch random.next(below: 4) {
                case 0, 1: .assigned(agentID: agent)
                case 2: .transferred(agentID: random.oneIn(2) ? agent : nil)
                default: .closed(asked: max(head - random.next(below: 3), 0))
                }
            return .system(kind, in: name, clientID: "d\(random.next(below: 100_000))")
        }

        // MARK: - Steps

        mutating func run() async throws {
            step += 1
            switch random.next(below: 14) {
            case 0: try bench.index()
            case 1: bench.beginIndexing()
            case 2: try await bench.reopen()
            default: try await commit()
            }
        }

        private mutating func commit() async throws {
            let drafts = (0..<random.next(below: 6)).map { _ in draft() }
            var settled: [Int] = []
            for item in model.outbox where random.oneIn(4) { settled.append(item.id) }
            if let old = numbers.keys.sorted().first { settled.append(old) }
            var receipts: [Membership: GatheredReceipt] = [:]
            for _ in 0..<random.next(below: 4) {
                let name = pick(Self.names)
                let reach = random.next(below: (model.conversations[name]?.entries.count ?? 0) + 4)
                receipts[Membership(user: pick(Self.users), conversationID: name)] = GatheredReceipt(
                    delivered: reach,
                    read: random.oneIn(2) ? reach : 0
                )
            }
            let settledNumbers = settled.compactMap { numbers[$0] }
            if random.oneIn(8) {
                await #expect(throws: LogBench.Refused.self, "\(place)") {
                    try await bench.run(drafts, settling: settledNumbers, receipts: receipts, isFailing: true)
                }
                return
            }
            let found = try await bench.run(drafts, settling: settledNumbers, receipts: receipts)
            model.beginCommit()
            let expected = drafts.map { model.append($0) }
            for id in settled where numbers[id] != nil { model.settle(id) }
            #expect(found.outcomes == expected.map(\.outcome), "\(place)")
            #expect(found.audiences == expected.map(\.audience), "\(place)")
            // Of conversations beside each other the order is Redis's.
            let due = found.due.sorted { "\($0.work)" < "\($1.work)" }
            let expectedDue = model.due.sorted { "\($0.work)" < "\($1.work)" }
            #expect(due.map(\.work) == expectedDue.map(\.work), "\(place)")
            for (item, due) in zip(expectedDue, due) {
                #expect(numbers[item.id] ?? due.number == due.number, "\(place)")
                numbers[item.id] = due.number
            }
            for (membership, receipt) in receipts {
                let expected = model.move(
                    membership.user,
                    in: membership.conversationID,
                    delivered: receipt.delivered,
                    read: receipt.read
                )
                let move = found.moves.first {
                    $0.userID == membership.user && $0.conversationID == membership.conversationID
                }
                #expect(move.map { [$0.delivered, $0.read] } == expected, "\(place)")
                let members = model.conversations[membership.conversationID]?.members
                #expect(move == nil || move?.members.sorted() == members, "\(place)")
            }
        }

        var place: String { "seed \(seed), step \(step)" }

        // MARK: - Comparison

        mutating func compare() async throws {
            let outbox = try await bench.outbox()
            #expect(outbox.map(\.number) == outbox.map(\.number).sorted(), "\(place)")
            let found = Dictionary(uniqueKeysWithValues: outbox.map { ($0.number, $0.work) })
            let expected = model.outbox.map { (numbers[$0.id] ?? 0, $0.work) }
            #expect(found == Dictionary(uniqueKeysWithValues: expected), "\(place)")
            for (name, conversation) in model.conversations {
                let page = try await bench.read(name, .after(0))
                #expect(page.sequences == Array(1..<conversation.entries.count + 1), "\(place)")
                #expect(page.contents == conversation.entries.map { $0.content ?? "" }, "\(place)")
                #expect(try await bench.members(of: name).sorted() == conversation.members, "\(place)")
            }
            for user in Self.users { try await comparePositions(user) }
            try await compareLists()
        }

        private func comparePositions(_ user: String) async throws {
            var all: [String: [Int]] = [:]
            var due: [String: [Int]] = [:]
            for (name, conversation) in model.conversations {
                guard let place = conversation.places[user] else { continue }
                let position = [place.delivered, place.ended ?? conversation.entries.count]
                all[name] = position
                if place.ended.map({ place.delivered < $0 }) ?? true { due[name] = position }
                let one = try await bench.position(of: user, in: name)
                #expect(one?.agentID == conversation.agent, "\(self.place)")
            }
            #expect(try await bench.positions(user) == due, "\(place)")
            #expect(try await bench.positions(user, naming: Self.names) == all, "\(place)")
        }

        private mutating func compareLists() async throws {
            let user = pick(Self.users)
            let query = ConversationQuery(
                user: user,
                userType: user.hasPrefix("a") ? .agent : .customer,
                scope: random.oneIn(2) ? .own : .all,
                state: pick([nil, .open, .queued, .closed]),
                limit: 10
            )
            let page = try await bench.conversations(query)
            let listed = page.conversations.map(\.conversationID)
            // Which of two conversations of one commit changes last is Redis's to say.
            let isOrdered = !StoreEngine.isRedis
            #expect(isOrdered ? listed == model.listed(query) : Set(listed) == Set(model.listed(query)), "\(place)")
            #expect(Set(listed).count == listed.count, "\(place)")
            for summary in page.conversations {
                let conversation = try #require(model.conversations[summary.conversationID])
                #expect(summary.agentID == conversation.agent, "\(place)")
                #expect(summary.state == model.routing(of: conversation, summary.conversationID), "\(place)")
                #expect(summary.head == conversation.entries.count, "\(place)")
                #expect(summary.unread == model.unread(user, in: conversation), "\(place)")
                let last = conversation.entries.lastIndex { $0.draft.kind == .chat }.map { $0 + 1 }
                var text: String?
                if let last { text = "{\"seq\":\(last)," + (try await bench.text(last, of: summary.conversationID)) }
                #expect(summary.lastMessage == text, "\(place)")
            }
        }
    }

    @Test(
        "random messages, recalls, decisions, receipts, failures, index runs and restarts",
        arguments: 0..<(StoreEngine.isRedis ? 3 : 4)
    )
    func simulation(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var simulation = try await Simulation(seed: seed, path: directory.file("\(round)"))
        for _ in 0..<150 {
            try await simulation.run()
            try await simulation.compare()
        }
    }
}
