import Contracts
import Core
import TestSupport
import Testing

@testable import GatewayService

@Suite("Presence news: what was missed is made good, and what is told is gathered")
struct PresenceNewsTests {
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private static func change(
        _ kind: PresenceChange.Kind,
        _ userID: String,
        _ status: PresenceStatus = .online
    ) -> PresenceChange {
        PresenceChange(
            version: 0,
            kind: kind,
            userID: userID,
            userName: userID.uppercased(),
            userType: userID.hasPrefix("a") ? .agent : .customer,
            status: kind == .left ? .offline : status,
            at: now
        )
    }

    private static func present(_ userID: String, _ status: PresenceStatus = .online) -> PresentUser {
        PresentUser(
            userID: userID,
            userName: userID.uppercased(),
            userType: userID.hasPrefix("a") ? .agent : .customer,
            status: status,
            lastSeen: now
        )
    }

    private static func told(_ changes: [PresenceChange]) -> [String] {
        changes.map { "\($0.kind) \($0.userID) \($0.status)" }
    }

    @Test("a change that says what is known is no news")
    func repeated() {
        var roster = PresenceRoster()
        let first = roster.apply([Self.change(.joined, "a1"), Self.change(.joined, "a1"), Self.change(.left, "u9")])
        #expect(Self.told(first) == ["joined a1 online"])
        let second = roster.apply([Self.change(.status, "a1", .busy), Self.change(.left, "a1")])
        #expect(Self.told(second) == ["status a1 busy", "left a1 offline"])
        #expect(roster.count == 0)
    }

    @Test("a snapshot is told as the difference; who is not in it has left, once it is settled")
    func snapshot() {
        var roster = PresenceRoster()
        _ = roster.apply(["a1", "a2", "u1"].map { Self.change(.joined, $0) })
        for isSettled in [false, true] {
            roster.beginSnapshot()
            let news = roster.takePage([Self.present("a2", .away)], now: Self.now)
            let more = roster.takePage([Self.present("u2")], now: Self.now)
            #expect(Self.told(news + more) == (isSettled ? [] : ["status a2 away", "joined u2 online"]))
            let gone = roster.endSnapshot(isSettled: isSettled, now: Self.now)
            #expect(Self.told(gone) == (isSettled ? ["left a1 offline", "left u1 offline"] : []))
        }
        #expect(roster.count == 2)
    }

    @Test("a batch has of each user what is true in the end, in the order of their first change")
    func bulletin() {
        var bulletin = PresenceBulletin()
        let changes = [
            Self.change(.joined, "u1"), Self.change(.joined, "a1"), Self.change(.status, "a1", .busy),
            Self.change(.status, "u1", .away), Self.change(.left, "u2"), Self.change(.joined, "u2"),
            Self.change(.left, "u2"), Self.change(.joined, "u3"), Self.change(.left, "u3"),
        ]
        for change in changes { bulletin.add(change) }
        let batch = bulletin.take()
        #expect(batch.map(\.userID) == ["u1", "a1", "u2"], "u3 was never there for anybody")
        #expect(batch.map(\.isOfAgent) == [false, true, false])
        #expect(batch[0].text.contains(#""type":"UserJoined""#) && batch[0].text.contains(#""status":"Away""#))
        #expect(batch[2].text.contains(#""type":"UserLeft""#))
        #expect(batch[1].text.contains(#""type":"UserJoined""#) && batch[1].text.contains(#""status":"Busy""#))
        #expect(bulletin.take().isEmpty)
    }

    @Test("what is too much for one batch goes with the next ones, and changes meanwhile count")
    func bulletinBounds() {
        var bulletin = PresenceBulletin()
        for number in 0..<PresenceBulletin.batchMax + 2 { bulletin.add(Self.change(.joined, "u\(number)")) }
        #expect(bulletin.take().count == PresenceBulletin.batchMax)
        bulletin.add(Self.change(.left, "u\(PresenceBulletin.batchMax)"))
        bulletin.add(Self.change(.left, "u0"))
        let rest = bulletin.take()
        #expect(rest.map(\.userID) == ["u\(PresenceBulletin.batchMax + 1)", "u0"])
        #expect(rest[0].text.contains("UserJoined") && rest[1].text.contains("UserLeft"))
    }

    @Test("a customer hears of the agent that serves them, and of nobody after")
    func serving() {
        var serving = ServingTable()
        serving.set("a1", for: "u1")
        serving.set("a1", for: "u2")
        #expect(serving.customers(of: "a1") == ["u1", "u2"])
        serving.set("a2", for: "u1")
        #expect(serving.customers(of: "a1") == ["u2"])
        #expect(serving.customers(of: "a2") == ["u1"])
        serving.set(nil, for: "u1")
        #expect(!serving.isServed("u1"))
        #expect(serving.customers(of: "a2").isEmpty)
    }

    private static func waiting(_ version: Int, _ customers: String...) -> WaitingQueue {
        let waiting = customers.map {
            WaitingQueue.Waiter(conversationID: "c:\($0)", customerID: $0, reason: "all_busy")
        }
        return WaitingQueue(version: version, agentsPresent: true, waiting: waiting)
    }

    private static func place(_ customer: String, _ position: Int, _ version: Int) -> QueuePlace {
        QueuePlace(
            customerID: customer,
            conversationID: "c:\(customer)",
            position: position,
            version: version,
            reason: "all_busy",
            isAgentPresent: true
        )
    }

    @Test("places are the order of the queue, and a customer who connects finds theirs")
    func queue() {
        let board = QueueBoard()
        let places = board.replace(Self.waiting(4, "u3", "u1"))
        #expect(places == [Self.place("u3", 1, 4), Self.place("u1", 2, 4)])
        #expect(board.place(of: "u1") == places[1])
        _ = board.replace(Self.waiting(5))
        #expect(board.place(of: "u1") == nil)
    }

    @Test("an answer and the queue come in any order: the newer place holds")
    func overtaking() {
        let board = QueueBoard()
        #expect(board.note(Self.place("u1", 3, 7)))
        #expect(!board.note(Self.place("u1", 4, 6)))
        #expect(board.replace(Self.waiting(6, "u2", "u1")).map(\.customerID) == ["u2"])
        #expect(board.place(of: "u1") == Self.place("u1", 3, 7))
        #expect(board.replace(Self.waiting(8, "u1", "u2")).map(\.customerID) == ["u1", "u2"])
        #expect(!board.note(Self.place("u1", 3, 7)) && !board.note(Self.place("u1", 1, 8)))
        #expect(!board.note(Self.place("u3", 1, 8)), "the queue says that they do not wait")
        #expect(board.note(Self.place("u4", WaitingQueue.waitingMax + 1, 8)), "the queue does not say that far back")
        #expect(board.note(Self.place("u3", 3, 9)))
        #expect(board.place(of: "u3") == Self.place("u3", 3, 9))
        // A queue that comes late does not make the newest one forgotten.
        _ = board.replace(Self.waiting(10))
        _ = board.replace(Self.waiting(7))
        #expect(!board.note(Self.place("u5", 1, 9)))
    }

    @Test("a connection is told of newer places that say something else, and of none that comes late")
    func told() async throws {
        let directory = try TemporaryDirectory()
        let fixture = try await GatewayFixture(directory.path)
        let device = try await fixture.device("u1")
        _ = try await device.frames(upTo: "Welcome")
        for place in [(3, 7), (4, 6), (3, 8), (2, 9), (3, 8)] {
            fixture.tell([Self.place("u1", place.0, place.1)])
        }
        #expect(try await device.framesSoFar() == ["Queued", "Queued"])
        await fixture.close()
    }
}
