import Core
import Foundation
import TestSupport
import Testing

@Suite("Timestamp, RFC 3339 written")
struct TimestampTests {
    @Test(
        "writes 24 bytes, milliseconds and Z",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (-86_400_000, "1969-12-31T00:00:00.000Z"), (1_768_903_200_123, "2026-01-20T10:00:00.123Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (-2_203_891_200_001, "1900-02-28T23:59:59.999Z"),
            (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"), (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)]
    )
    func vectors(milliseconds: Int64, wire: String) {
        let time = Timestamp(milliseconds: milliseconds)
        #expect(time.wire == wire)
        #expect(time.wire.utf8.count == Timestamp.wireLength)
        #expect(Timestamp(wire: wire) == time)
    }

    @Test("agrees with Foundation on random times of four centuries, before 1970 too")
    func foundation() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        for _ in 0..<3000 {
            // From 1800, well after Foundation's change of calendars, to 2200.
            let milliseconds = Int64.random(in: -5_364_662_400_000..<7_258_118_400_000, using: &random)
            // Half a millisecond on, because the formatter cuts off and a Double may lie a little below.
            let date = Date(timeIntervalSince1970: (Double(milliseconds) + 0.5) / 1000)
            #expect(Timestamp(milliseconds: milliseconds).wire == date.formatted(style), "seed \(seed)")
        }
    }

    @Test("every day of four centuries follows the one before, as Foundation's calendar counts them")
    func days() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var last = ""
        for day in stride(from: Int64(-62_000), through: 84_000, by: 1) {
            let wire = Timestamp(milliseconds: day * 86_400_000).wire
            #expect(wire > last)
            last = wire
            guard day % 37 == 0 else { continue }
            let date = Date(timeIntervalSince1970: Double(day) * 86_400)
            let parts = calendar.dateComponents([.year, .month, .day], from: date)
            let fields = wire.prefix(10).split(separator: "-").compactMap { Int($0) }
            #expect(fields == [parts.year, parts.month, parts.day].compactMap { $0 })
        }
    }

    @Test("orders and moves by milliseconds")
    func arithmetic() {
        let time = Timestamp(milliseconds: 1000)
        #expect(time.advanced(byMilliseconds: -1001) == Timestamp(milliseconds: -1))
        #expect(time.advanced(byMilliseconds: -1) < time)
        #expect(time.wire < time.advanced(byMilliseconds: 1).wire)
    }

    @Test("now is the system's time, and the monotonic clock does not go back")
    func clocks() {
        let before = Date().timeIntervalSince1970
        let now = Double(Timestamp.now().milliseconds) / 1000
        let after = Date().timeIntervalSince1970
        #expect(before - 0.002...after + 0.002 ~= now)
        var last = Monotonic.milliseconds()
        for _ in 0..<1000 {
            let next = Monotonic.milliseconds()
            #expect(next >= last)
            last = next
        }
    }

    @Test("is a string in JSON")
    func json() throws {
        let time = Timestamp(milliseconds: 1_768_903_200_123)
        let data = try JSONEncoder().encode([time])
        #expect(String(decoding: data, as: UTF8.self) == #"["2026-01-20T10:00:00.123Z"]"#)
        #expect(try JSONDecoder().decode([Timestamp].self, from: data) == [time])
        for bad in [#"["yesterday"]"#, "[1768903200123]", "[null]"] {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode([Timestamp].self, from: Data(bad.utf8)) }
        }
    }
}
