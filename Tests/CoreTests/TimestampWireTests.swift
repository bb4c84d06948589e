import Core
import Testing

@Suite("Timestamp, RFC 3339 read back")
struct TimestampWireTests {
    @Test(
        "reads what RFC 3339 allows",
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-01-20T10:00:00.123Z", 1_768_903_200_123),
            ("2026-01-20T18:00:00.1239+08:00", 1_768_903_200_123), ("2026-01-20t10:00:00.1z", 1_768_903_200_100),
            ("1969-12-31T23:59:59.999Z", -1), ("2000-02-29T12:00:00-00:30", 951_827_400_000),
        ] as [(String, Int64)]
    )
    func reads(text: String, milliseconds: Int64) {
        #expect(Timestamp(wire: text) == Timestamp(milliseconds: milliseconds))
    }

    @Test(
        "refuses anything else",
        arguments: [
            "", "2026-01-20", "2026-01-20T10:00:00", "2026-01-20 10:00:00Z", "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00Zx", "2026-01-01T00:00:00+0800",
            "+026-01-01T00:00:00Z",
        ]
    )
    func refuses(text: String) {
        #expect(Timestamp(wire: text) == nil)
    }

    @Test("round trip of random times")
    func roundTrip() {
        let seed = UInt64.random(in: 0 ... .max)
        var state = seed
        for _ in 0..<2000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let time = Timestamp(milliseconds: Int64(state >> 16) % 250_000_000_000_000)
            #expect(Timestamp(wire: time.wire) == time, "seed \(seed)")
        }
    }
}
