import Synchronization
import Testing

@testable import GatewayService

@Suite("Tables of sessions and connections")
struct SessionTableTests {
    private func connection(_ number: UInt64, shard: Int = 0) -> ConnectionID {
        ConnectionID(shard: shard, number: number)
    }

    @Test("the eleventh connection displaces the oldest, whatever the loop, and each is displaced once")
    func displaced() {
        let table = UserConnections(perUserMax: 10)
        for number in 0..<10 { #expect(table.enter("u", connection(UInt64(number), shard: number % 3)) == []) }
        // Nobody leaves: the displaced ones take their time to close.
        #expect(table.enter("u", connection(10)) == [connection(0, shard: 0)])
        #expect(table.enter("u", connection(11)) == [connection(1, shard: 1)])
        #expect(table.enter("other", connection(12)) == [])
        // The one that leaves late was forgotten already, so it makes no room; another one does.
        table.leave("u", connection(0, shard: 0))
        #expect(table.enter("u", connection(13)) == [connection(2, shard: 2)])
        table.leave("u", connection(13))
        #expect(table.enter("u", connection(14)) == [])
    }

    @Test("a handshake whose session ends meanwhile is told so, and the table forgets it")
    func revoked() {
        let pending = PendingSessions()
        pending.begin("a")
        pending.begin("a")
        pending.revoke("a", replacedBy: nil)
        pending.revoke("unknown", replacedBy: nil)
        #expect(pending.end("a") == .revoked)
        #expect(pending.end("a") == .revoked)
        pending.begin("a")
        #expect(pending.end("a") == .alive)
        pending.begin("unknown")
        #expect(pending.end("unknown") == .alive)
    }

    @Test("a handshake follows its session through refreshes to its end", arguments: [nil, "c"])
    func chain(_ last: String?) {
        let pending = PendingSessions()
        pending.begin("a")
        pending.begin("other")
        pending.revoke("a", replacedBy: "b")
        pending.revoke("b", replacedBy: last)
        #expect(pending.end("a") == last.map { .replaced(by: $0) } ?? .revoked)
        #expect(pending.end("other") == .alive)
    }

    @Test("a handshake with an old id belongs to the newest one, as long as the old one may live")
    func successor() {
        let now = Atomic<Int64>(0)
        let pending = PendingSessions(now: { now.load(ordering: .relaxed) })
        pending.revoke("a", replacedBy: "b")
        // Auth lists an old id a second time when its seconds are over.
        pending.revoke("a", replacedBy: "b")
        pending.revoke("b", replacedBy: "c")
        pending.begin("a")
        #expect(pending.end("a") == .replaced(by: "c"))
        pending.begin("c")
        #expect(pending.end("c") == .alive)
        now.store(PendingSessions.memoryMilliseconds + 1, ordering: .relaxed)
        pending.revoke("x", replacedBy: "y")
        pending.begin("a")
        #expect(pending.end("a") == .alive)
        pending.begin("x")
        #expect(pending.end("x") == .replaced(by: "y"))
    }
}
