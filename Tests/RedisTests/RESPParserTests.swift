import Redis
import TestSupport
import Testing

@Suite("RESP parser")
struct RESPParserTests {
    /// One answer of each type, as it comes, and what it is.
    private static let examples: [(bytes: String, value: RESPValue)] = [
        ("+OK\r\n", .status("OK")),
        ("+\r\n", .status("")),
        ("-ERR unknown command 'x'\r\n", .error(RedisServerError(.err, "unknown command 'x'"))),
        ("-MOVED 3999 127.0.0.1:6381\r\n", .error(RedisServerError(.moved, "3999 127.0.0.1:6381"))),
        ("-lower case\r\n", .error(RedisServerError(.err, "lower case"))),
        ("-OOM\r\n", .error(RedisServerError(.outOfMemory, ""))),
        (":0\r\n", .integer(0)),
        (":+7\r\n", .integer(7)),
        (":-9223372036854775808\r\n", .integer(.min)),
        (":9223372036854775807\r\n", .integer(.max)),
        ("$5\r\nhello\r\n", .string(Array("hello".utf8))),
        ("$0\r\n\r\n", .string([])),
        ("$4\r\n\r\n\r\n\r\n", .string([13, 10, 13, 10])),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("_\r\n", .null),
        ("*0\r\n", .array([])),
        ("*3\r\n:1\r\n$-1\r\n*1\r\n+a\r\n", .array([.integer(1), .null, .array([.status("a")])])),
        ("#t\r\n", .boolean(true)),
        ("#f\r\n", .boolean(false)),
        (",1.5\r\n", .double(1.5)),
        (",-1e-3\r\n", .double(-0.001)),
        (",inf\r\n", .double(.infinity)),
        (",-inf\r\n", .double(-.infinity)),
        ("(-34928903284092385093248509438509\r\n", .bigNumber("-34928903284092385093248509438509")),
        ("!10\r\nNOSCRIPT a\r\n", .error(RedisServerError(.noScript, "a"))),
        ("=8\r\ntxt:some\r\n", .verbatim(format: "txt", Array("some".utf8))),
        ("%0\r\n", .map([])),
        (
            "%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n#t\r\n_\r\n",
            .map([
                .init(.status("a"), .integer(1)), .init(.status("b"), .array([.boolean(true), .null])),
            ])
        ),
        ("~2\r\n:1\r\n:2\r\n", .set([.integer(1), .integer(2)])),
        (">2\r\n+message\r\n+x\r\n", .push([.status("message"), .status("x")])),
        ("|1\r\n+ttl\r\n:3600\r\n+value\r\n", .status("value")),
        ("|0\r\n:1\r\n", .integer(1)),
        ("*2\r\n|1\r\n+a\r\n*1\r\n:0\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
        ("*2\r\n%1\r\n+k\r\n~0\r\n~1\r\n%0\r\n", .array([.map([.init(.status("k"), .set([]))]), .set([.map([])])])),
    ]

    @Test("every type, in one piece", arguments: examples.indices)
    func types(_ index: Int) throws {
        let example = Self.examples[index]
        #expect(try Self.parse([Array(example.bytes.utf8)]) == [example.value])
    }

    @Test("nan is no number")
    func notANumber() throws {
        guard case .double(let number)? = try Self.parse([Array(",nan\r\n".utf8)]).first else {
            Issue.record("no double")
            return
        }
        #expect(number.isNaN)
    }

    @Test("cut in two at every place, and byte by byte")
    func splits() throws {
        let stream = Array(Self.examples.map(\.bytes).joined().utf8)
        let values = Self.examples.map(\.value)
        for place in 0...stream.count {
            #expect(try Self.parse([Array(stream[..<place]), Array(stream[place...])]) == values, "cut at \(place)")
        }
        #expect(try Self.parse(stream.map { [$0] }) == values)
    }

    @Test(
        "what is no answer",
        arguments: [
            ("hello\r\n", RESPError.unknownType(UInt8(ascii: "h"))), ("+a\n", .malformedLine),
            ("+a\rb\r\n", .malformedLine), ("\r\n", .malformedLine),
            ("$x\r\n", .malformedLength), ("$-2\r\n", .malformedLength),
            ("$+1\r\n", .malformedLength), ("*-2\r\n", .malformedLength), ("%-1\r\n", .malformedLength),
            ("$\r\n", .malformedLength), ("$99999999999999999999\r\n", .malformedLength), ("$?\r\n", .malformedLength),
            ("*?\r\n", .malformedLength), (":\r\n", .malformedNumber), (":1 \r\n", .malformedNumber),
            (":9223372036854775808\r\n", .malformedNumber), (":-9223372036854775809\r\n", .malformedNumber),
            ("#x\r\n", .malformedNumber), ("#\r\n", .malformedNumber), ("_x\r\n", .malformedNumber),
            (",0x10\r\n", .malformedNumber), (",\r\n", .malformedNumber), ("(12a\r\n", .malformedNumber),
            ("(-\r\n", .malformedNumber), ("$1\r\nab\r\n", .missingLineEnd), ("$1\r\na\rb", .missingLineEnd),
            ("=3\r\ntxt\r\n", .malformedVerbatim), ("*1\r\n>1\r\n", .nestedPush),
        ]
    )
    func malformed(_ bytes: String, _ error: RESPError) {
        #expect(throws: error, "whole") { try Self.parse([Array(bytes.utf8)]) }
        #expect(throws: error, "byte by byte") { try Self.parse(bytes.utf8.map { [$0] }) }
    }

    @Test("limits hold on the word of a length, and to the byte")
    func limits() throws {
        var limits = RESPLimits()
        limits.bulkBytesMax = 10
        limits.lineBytesMax = 20
        limits.depthMax = 3
        limits.elementsMax = 6
        limits.answerBytesMax = 60
        func outcome(_ text: String) -> Result<[RESPValue], RESPError> {
            Result { () throws(RESPError) in try Self.parse([Array(text.utf8)], limits: limits) }
        }
        #expect(outcome("$10\r\n0123456789\r\n") == .success([.string(Array("0123456789".utf8))]))
        #expect(outcome("$11\r\n") == .failure(.bulkTooLong))
        #expect(outcome("+12345678901234567\r\n") == .success([.status("12345678901234567")]))
        #expect(outcome("+123456789012345678\r\n") == .failure(.lineTooLong))
        #expect(outcome("+12345678901234567890") == .failure(.lineTooLong))
        #expect(outcome("*1\r\n*1\r\n*1\r\n:1\r\n") == .success([.array([.array([.array([.integer(1)])])])]))
        #expect(outcome("*1\r\n*1\r\n*1\r\n*1\r\n") == .failure(.tooDeep))
        let five = outcome("*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n")
        #expect(five == .success([.array(Array(repeating: .integer(1), count: 5))]))
        #expect(outcome("*6\r\n") == .failure(.tooManyElements))
        #expect(outcome("%3\r\n") == .failure(.tooManyElements))
        #expect(outcome("*1000000000000\r\n") == .failure(.tooManyElements))
        #expect(outcome("%92233720368547758\r\n") == .failure(.tooManyElements))
        #expect(outcome(String(repeating: "|0\r\n", count: 7)) == .failure(.tooManyElements))
        #expect(outcome("*5\r\n" + String(repeating: "$8\r\n01234567\r\n", count: 5)) == .failure(.answerTooLarge))
        // Each answer is counted by itself.
        let four = String(repeating: "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", count: 50)
        #expect(try outcome(four).get().count == 50)
    }

    @Test("a large array in small pieces takes time by its size alone")
    func largeArray() throws {
        func seconds(_ count: Int) throws -> Duration {
            let bytes = Array("*\(count)\r\n".utf8) + Array(repeating: Array("$1\r\na\r\n".utf8), count: count).joined()
            let pieces = stride(from: 0, to: bytes.count, by: 7).map { Array(bytes[$0..<min($0 + 7, bytes.count)]) }
            let start = ContinuousClock.now
            #expect(try Self.parse(pieces).first?.elements?.count == count)
            return ContinuousClock.now - start
        }
        _ = try seconds(1000)
        let (small, large) = (try seconds(5000), try seconds(80_000))
        // 16 times as much: quadratic work would be 256 times.
        #expect(large < small * 100, "5,000 elements: \(small), 80,000: \(large)")
    }

    @Test("random answers survive random cuts; random bytes never trap", arguments: 0..<8)
    func fuzz(_ round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let values = (0..<random.next(below: 5)).map { _ in Self.value(&random, depth: 0) }
            var bytes = values.flatMap(Self.encoded)
            #expect(try Self.parse(Self.cut(bytes, &random)) == values, "seed \(seed)")
            guard !bytes.isEmpty else { continue }
            for _ in 0...random.next(below: 3) {
                bytes[random.next(below: bytes.count)] = UInt8(random.next(below: 256))
            }
            let cut = Self.cut(bytes, &random)
            let whole = Result { () throws(RESPError) in try Self.parse([bytes]) }
            let pieces = Result { () throws(RESPError) in try Self.parse(cut) }
            // Not compared by what they are: of two faults, a short piece may show the later one first.
            #expect((try? whole.get()) == (try? pieces.get()), "seed \(seed)")
        }
    }

    // MARK: - Helpers

    private static func parse(
        _ pieces: [[UInt8]],
        limits: RESPLimits = RESPLimits()
    ) throws(RESPError) -> [RESPValue] {
        var parser = RESPParser(limits: limits)
        var values: [RESPValue] = []
        for piece in pieces {
            let outcome: Result<Void, RESPError> = piece.withUnsafeBytes { bytes in
                var offset = 0
                return Result { () throws(RESPError) in
                    while let value = try parser.next(bytes, &offset) { values.append(value) }
                }
            }
            try outcome.get()
        }
        return values
    }

    private static func cut(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = 1 + random.next(below: min(rest.count, 9))
            pieces.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return pieces
    }

    private static func value(_ random: inout SeededGenerator, depth: Int) -> RESPValue {
        switch random.next(below: depth < 4 ? 10 : 7) {
        case 0: return .null
        case 1: return .integer(Int(truncatingIfNeeded: random.next()))
        case 2: return .status(String(random.next(below: 1000)))
        case 3: return .boolean(random.next(below: 2) == 0)
        case 4: return .error(RedisServerError(.err, "e\(random.next(below: 9))"))
        case 5: return .double(Double(random.next(below: 1000)) / 8)
        case 6: return .string((0..<random.next(below: 30)).map { _ in UInt8(random.next(below: 256)) })
        case 7: return .array((0..<random.next(below: 4)).map { _ in value(&random, depth: depth + 1) })
        case 8: return .set((0..<random.next(below: 4)).map { _ in value(&random, depth: depth + 1) })
        default:
            return .map(
                (0..<random.next(below: 3)).map { _ in
                    .init(value(&random, depth: depth + 1), value(&random, depth: depth + 1))
                }
            )
        }
    }

    private static func encoded(_ value: RESPValue) -> [UInt8] {
        func head(_ type: String, _ text: some CustomStringConvertible) -> [UInt8] { Array("\(type)\(text)\r\n".utf8) }
        switch value {
        case .null: return head("_", "")
        case .status(let text): return head("+", text)
        case .integer(let number): return head(":", number)
        case .boolean(let truth): return head("#", truth ? "t" : "f")
        case .double(let number): return head(",", number)
        case .error(let error): return head("-", error)
        case .bigNumber(let digits): return head("(", digits)
        case .string(let bytes): return head("$", bytes.count) + bytes + Array("\r\n".utf8)
        case .verbatim(let format, let bytes):
            return head("=", bytes.count + 4) + Array((format + ":").utf8) + bytes + Array("\r\n".utf8)
        case .array(let items): return head("*", items.count) + items.flatMap(encoded)
        case .set(let items): return head("~", items.count) + items.flatMap(encoded)
        case .push(let items): return head(">", items.count) + items.flatMap(encoded)
        case .map(let entries):
            return head("%", entries.count) + entries.flatMap { encoded($0.key) + encoded($0.value) }
        }
    }
}
