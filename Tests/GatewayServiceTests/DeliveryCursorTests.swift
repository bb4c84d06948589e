import Core
import Testing

@testable import GatewayService

@Suite("Delivery cursor: once, in order, nothing skipped")
struct DeliveryCursorTests {
    @Test("the next entry is sent, an older one dropped, a jump read")
    func steps() {
        var cursor = DeliveryCursor(sent: 3, known: 3)
        #expect(!cursor.isBehind)
        #expect(cursor.offer(3) == .passed)
        #expect(cursor.offer(4) == .send(isFirstMove: true))
        #expect(cursor.offer(5) == .send(isFirstMove: false))
        #expect(cursor.offer(4) == .passed)
        #expect(cursor.offer(7) == .behind(needsRead: true))
        #expect(cursor.isBehind)
        cursor.beginReading()
        #expect(cursor.offer(8) == .behind(needsRead: false))
        // While a read is under way even the next one waits: the read brings it.
        #expect(cursor.offer(6) == .behind(needsRead: false))
        cursor.endReading()
        #expect(cursor.takeRead(6) == .send(isFirstMove: false))
        #expect(cursor.takeRead(6) == .passed)
        #expect(cursor.takeRead(8) == .passed)
        #expect(cursor.takeRead(7) == .send(isFirstMove: false))
        #expect(cursor.isBehind)
        #expect(cursor.offer(8) == .send(isFirstMove: false))
        #expect(!cursor.isBehind)
    }

    @Test("before its position is known nothing is sent")
    func unplaced() {
        var cursor = DeliveryCursor()
        #expect(cursor.isBehind)
        #expect(cursor.offer(1) == .behind(needsRead: true))
        #expect(cursor.takeRead(1) == .passed)
        #expect(cursor.coverByPing() == nil)
        cursor.place(at: 4, head: 6)
        #expect(cursor.sent == 4)
        #expect(cursor.known == 6)
        #expect(cursor.offer(5) == .send(isFirstMove: true))
    }

    @Test("a position never moves back")
    func placedAgain() {
        var cursor = DeliveryCursor(sent: 5, known: 9)
        cursor.place(at: 2, head: 7)
        #expect(cursor.sent == 5)
        #expect(cursor.known == 9)
        cursor.note(head: 3)
        #expect(cursor.known == 9)
    }

    @Test("the first move after each ping is told")
    func pings() {
        var cursor = DeliveryCursor(sent: 0, known: 0)
        #expect(cursor.coverByPing() == 0)
        #expect(cursor.offer(1) == .send(isFirstMove: true))
        #expect(cursor.offer(2) == .send(isFirstMove: false))
        #expect(cursor.coverByPing() == 2)
        #expect(cursor.offer(2) == .passed)
        #expect(cursor.takeRead(3) == .send(isFirstMove: true))
        #expect(cursor.offer(4) == .send(isFirstMove: false))
    }

    /// A connection as `ClientSession` drives it, with a log that only has a head.
    private struct Connection {
        var cursor = DeliveryCursor()
        var head: Int
        let start: Int
        var sent: [Int] = []
        var isPlaced = false
        /// A read that was asked for, `nil` for the stored position.
        var pending: Int??

        mutating func take(_ step: DeliveryCursor.Step, _ sequence: Int) {
            switch step {
            case .send: sent.append(sequence)
            case .passed: break
            case .behind(let needsRead): if needsRead && isPlaced { readOn() }
            }
        }

        mutating func readOn() {
            guard !cursor.isReading, cursor.isBehind else { return }
            cursor.beginReading()
            pending = .some(cursor.sent)
        }

        /// The answer of a read arrives, made of what was committed at some time since it was asked.
        mutating func answer(head: Int, limit: Int) {
            guard let asked = pending else { return }
            pending = nil
            guard let after = asked else {
                cursor.place(at: start, head: head)
                return readOn()
            }
            cursor.endReading()
            cursor.note(head: head)
            for sequence in after + 1..<max(after + 1, min(after + limit, head) + 1) {
                take(cursor.takeRead(sequence), sequence)
            }
            if cursor.isBehind { readOn() }
        }
    }

    @Test("whatever the interleaving, each entry is sent once and in order")
    func simulation() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for run in 0..<2000 {
            let start = Int.random(in: 0...5, using: &random)
            var connection = Connection(head: start + Int.random(in: 0...5, using: &random), start: start)
            var headWhenAsked = connection.head
            for _ in 0..<Int.random(in: 0...60, using: &random) {
                let wasPending = connection.pending != nil
                switch Int.random(in: 0..<7, using: &random) {
                case 0, 1:
                    // An entry is committed; news of it arrives live, as a hint, or not at all.
                    connection.head += 1
                    let head = connection.head
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: break
                    case 1:
                        connection.cursor.note(head: head)
                        if connection.isPlaced { connection.readOn() }
                    default: connection.take(connection.cursor.offer(head), head)
                    }
                case 2 where connection.head > 0:
                    // Late or repeated news.
                    let sequence = Int.random(in: 1...connection.head, using: &random)
                    connection.take(connection.cursor.offer(sequence), sequence)
                case 3 where !connection.isPlaced:
                    if Bool.random(using: &random) { connection.cursor.place(at: start, head: connection.head) }
                    connection.isPlaced = true
                    connection.readOn()
                case 4: _ = connection.cursor.coverByPing()
                default:
                    let head = Int.random(in: min(headWhenAsked, connection.head)...connection.head, using: &random)
                    connection.answer(head: head, limit: Int.random(in: 1...4, using: &random))
                }
                if !wasPending && connection.pending != nil { headWhenAsked = connection.head }
            }
            connection.isPlaced = true
            connection.cursor.note(head: connection.head)
            connection.readOn()
            var rounds = 0
            while connection.pending != nil, rounds < 1000 {
                connection.answer(head: connection.head, limit: 3)
                rounds += 1
            }
            let expected = Array(start..<connection.head).map { $0 + 1 }
            #expect(connection.sent == expected, "seed \(seed), run \(run)")
            guard connection.sent == expected else { return }
        }
    }
}

@Suite("Message rate")
struct RateLimitTests {
    @Test("a burst passes at once, then so many a second")
    func burst() {
        var limit = RateLimit(perSecond: 10, burst: 3, now: 1000)
        for _ in 0..<3 { #expect(limit.take(now: 1000) == 0) }
        #expect(limit.take(now: 1000) == 100)
        #expect(limit.take(now: 1000) == 200)
        // 200 ms later the debt is paid and nothing is left.
        #expect(limit.take(now: 1200) == 100)
        #expect(limit.take(now: 1400) == 0)
    }

    @Test("rest is not saved up beyond the burst, and time does not go back")
    func rest() {
        var limit = RateLimit(perSecond: 1000, burst: 2, now: 0)
        #expect(limit.take(now: 1_000_000) == 0)
        #expect(limit.take(now: 500) == 0)
        #expect(limit.take(now: 500) == 1)
        #expect(limit.take(now: 1_000_000) == 2)
    }

    @Test("whoever waits as told keeps exactly the rate")
    func steady() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let perSecond = Int.random(in: 1...500, using: &random)
            let burst = Int.random(in: 1...50, using: &random)
            var limit = RateLimit(perSecond: perSecond, burst: burst, now: 0)
            var now: Int64 = 0
            var taken = 0
            while now < 20_000 {
                taken += 1
                now += limit.take(now: now)
            }
            let ideal = burst + perSecond * Int(now) / 1000
            #expect(taken <= ideal + 1, "seed \(seed)")
            // Waits are whole milliseconds, so the fastest rates lose a part of each.
            #expect(taken >= min(ideal, burst + perSecond * 20 / 2) - 1, "seed \(seed)")
        }
    }
}

@Suite("Admission of connections")
struct AdmissionControlTests {
    @Test("takes as many as the limits, in all and by address, not more")
    func limits() throws {
        let control = AdmissionControl(connectionsMax: 3, perAddressMax: 2)
        try control.enter("a")
        try control.enter("a")
        let byAddress = #expect(throws: (any Error).self) { try control.enter("a") }
        #expect(status(byAddress) == 429)
        try control.enter("b")
        #expect(control.total == 3)
        let inAll = #expect(throws: (any Error).self) { try control.enter("c") }
        #expect(status(inAll) == 503)
        #expect(control.total == 3)
        control.leave("a")
        #expect(control.total == 2)
        try control.enter("a")
        control.leave("a")
        control.leave("a")
        control.leave("b")
        #expect(control.total == 0)
        try control.enter("c")
    }

    @Test("says when to come again")
    func retry() {
        let full = AdmissionControl(connectionsMax: 0, perAddressMax: 1)
        let one = AdmissionControl(connectionsMax: 1, perAddressMax: 0)
        for control in [full, one] {
            let error = #expect(throws: (any Error).self) { try control.enter("a") }
            #expect((error as? Problem)?.code == .tooManyConnections)
            #expect((error as? Problem)?.headers.contains { $0.name == "Retry-After" } == true)
        }
    }

    private func status(_ error: (any Error)?) -> Int? { (error as? Problem)?.status }
}

@Suite("Names of conversations, and who reads them")
struct ConversationNameTests {
    private func identity(_ user: String, _ type: UserType) -> Identity {
        Identity(userID: user, userName: user, userType: type)
    }

    @Test("two agents have one conversation, whoever writes first")
    func agents() {
        #expect(ConversationName.ofAgents("b", "a") == "d:a:b")
        #expect(ConversationName.ofAgents("a", "b") == "d:a:b")
        #expect(ConversationName.ofCustomer("x") == "c:x")
    }

    @Test("a customer reads their own only, an agent any customer's and their own with agents")
    func readable() {
        let customer = identity("u1", .customer)
        let agent = identity("a1", .agent)
        #expect(ConversationName.isReadable("c:u1", by: customer))
        for name in ["c:u2", "c:u", "c:u11", "d:a1:u1", "d:u1:u1", "", "c:", "u1", "x:u1"] {
            #expect(!ConversationName.isReadable(name, by: customer), "\(name)")
        }
        for name in ["c:u1", "c:u2", "d:a1:b", "d:a:a1"] {
            #expect(ConversationName.isReadable(name, by: agent), "\(name)")
        }
        for name in ["d:a:b", "d:a11:b", "a1", "", "x:a1:b"] {
            #expect(!ConversationName.isReadable(name, by: agent), "\(name)")
        }
    }
}
