import Core
import Net
import Synchronization
import TestSupport
import Testing

@testable import GatewayService

@Suite("Receipts")
struct LogReceiptTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func move(_ user: String, delivered: Int?, read: Int?, members: [String] = ["u1", "a1"]) -> PositionMove {
        PositionMove(
            conversationID: "c:u1",
            userID: user,
            delivered: delivered,
            read: read,
            members: members,
            origin: nil
        )
    }

    @Test("go forward only, to the head at most, and say what has moved")
    func moves() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run((0..<9).map { Draft(content: "\($0)") })
        #expect(try await bench.move(.delivered, "a1", 5) == move("a1", delivered: 5, read: nil))
        #expect(try await bench.move(.delivered, "a1", 5) == nil)
        #expect(try await bench.move(.delivered, "a1", 3) == nil)
        #expect(try await bench.move(.read, "a1", 4) == move("a1", delivered: nil, read: 4))
        #expect(try await bench.move(.read, "a1", 6) == move("a1", delivered: 6, read: 6))
        #expect(try await bench.move(.read, "a1", 2) == nil)
        #expect(try await bench.move(.delivered, "a1", 99) == move("a1", delivered: 9, read: nil))
        #expect(try await bench.move(.read, "u1", .max) == move("u1", delivered: 9, read: 9))
        for sequence in [0, -1, Int.min] { #expect(try await bench.move(.read, "a1", sequence) == nil) }
        #expect(try await bench.move(.read, "stranger", 5) == nil)
        #expect(try await bench.move(.read, "a1", 5, in: "c:none") == nil)
        #expect(try await bench.conversation("c:none", for: "a1") == nil)
        #expect(try await bench.positions("a1") == ["c:u1": [9, 9]])
    }

    @Test("count entries of their own commit as well, and are of the members after it")
    func sameCommit() async throws {
        let bench = try await EngineBench(directory.path)
        try await bench.run([Draft()])
        let committed = try await bench.run(
            [Draft(), Draft(addressee: "a2")],
            receipts: [Membership(user: "a2", conversationID: "c:u1"): GatheredReceipt(delivered: 9, read: 9)]
        )
        #expect(committed.moves == [move("a2", delivered: 3, read: 3, members: ["u1", "a1", "a2"])])
    }

    @Test("are stored soon and then told, those before the end as well")
    func told() async throws {
        let moves = Mutex<[PositionMove]>([])
        let waiters = CommitWaiters()
        let log = try await StoreEngine.openLog(
            directory.path,
            committed: { waiters.committed($0) },
            moved: { new in moves.withLock { $0 += new } }
        )
        func say(_ kind: Receipt.Kind, _ user: String, _ sequence: Int, from origin: ConnectionID?) {
            log.move(Receipt(kind: kind, conversationID: "c:u1", sequence: sequence), of: user, from: origin)
        }
        let batch = Handover(AppendBatch((0..<6).map { _ in Draft() }))
        _ = await withCheckedContinuation { continuation in
            waiters.add(batch.value, continuation)
            log.append(batch)
        }
        let origin = ConnectionID(shard: 0, number: 1)
        say(.read, "a1", 4, from: origin)
        #expect(await eventually { moves.withLock { !$0.isEmpty } })
        #expect(
            moves.withLock { $0 } == [
                PositionMove(
                    conversationID: "c:u1",
                    userID: "a1",
                    delivered: 4,
                    read: 4,
                    members: ["u1", "a1"],
                    origin: origin
                )
            ]
        )
        say(.read, "u1", 6, from: nil)
        await log.close()
        #expect(moves.withLock { $0.last } == move("u1", delivered: 6, read: 6))
    }

    @Test("of one member are gathered, with the connection when there was only one; for too many they are dropped")
    func gathered() {
        var work = CommitWork()
        let (one, other) = (ConnectionID(shard: 0, number: 1), ConnectionID(shard: 1, number: 1))
        func say(_ user: String, _ sequence: Int, _ kind: Receipt.Kind = .delivered, from origin: ConnectionID?) {
            work.gather(
                Receipt(kind: kind, conversationID: "c:u1", sequence: sequence),
                of: Membership(user: user, conversationID: "c:u1"),
                from: origin,
                countMax: 3
            )
        }
        func gathered(_ user: String) -> [Int]? {
            work.receipts[Membership(user: user, conversationID: "c:u1")].map { [$0.delivered, $0.read] }
        }
        for sequence in [1, 4, 3] { say("a1", sequence, from: one) }
        say("a1", 2, .read, from: one)
        say("u1", 5, from: one)
        say("u1", 6, from: other)
        say("u1", 1, from: other)
        say("a2", 1, from: nil)
        say("a2", 2, from: one)
        #expect(gathered("a1") == [4, 2])
        #expect(gathered("u1") == [6, 0])
        for (user, origin) in [("a1", one), ("u1", nil), ("a2", nil)] {
            #expect(work.receipts[Membership(user: user, conversationID: "c:u1")]?.origin == origin)
        }
        say("a3", 1, from: nil)
        #expect(gathered("a3") == nil)
        say("a1", 7, from: one)
        #expect(gathered("a1") == [7, 2])
    }
}
