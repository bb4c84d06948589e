import TestSupport
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
        cursor.note(head: 3)
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
