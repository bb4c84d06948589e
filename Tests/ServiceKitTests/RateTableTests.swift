import ServiceKit
import Testing

@Suite("RateTable and ClientNetwork")
struct RateTableTests {
    @Test("allows the burst, then one more each interval")
    func burst() {
        var table = RateTable(eventsMax: 3, windowMilliseconds: 300, keysMax: 10)
        for _ in 0..<3 {
            #expect(table.wait("a", now: 1000) == nil)
            table.count("a", now: 1000)
        }
        #expect(table.wait("a", now: 1000) == 100)
        #expect(table.wait("a", now: 1099) == 1)
        #expect(table.wait("a", now: 1100) == nil)
        #expect(table.wait("b", now: 1000) == nil)
    }

    @Test("is bounded: past its limit it forgets those nearest to being clear, never the worst offender")
    func bounded() {
        var table = RateTable(eventsMax: 3, windowMilliseconds: 300_000, keysMax: 100)
        for _ in 0..<3 { table.count("offender", now: 0) }
        for i in 0..<10_000 {
            table.count("key\(i)", now: Int64(i))
            #expect(table.count <= 100)
        }
        #expect(table.wait("offender", now: 10_000) != nil)
    }

    @Test("keys that are clear are the first to go")
    func clearKeysGo() {
        var table = RateTable(eventsMax: 1, windowMilliseconds: 100, keysMax: 4)
        for i in 0..<4 { table.count("old\(i)", now: 0) }
        table.count("new", now: 100)
        #expect(table.count == 1)
    }

    @Test(
        "an IPv6 network of 64 bits counts as one address, an IPv4 address as itself",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "20:1:d:b8:0:1:0:2::/64"), ("2001:db8:1:2::", "20:1:d:b8:0:1:0:2::/64"),
            ("unix", "unix"),
        ]
    )
    func networks(address: String, key: String) { #expect(ClientNetwork.key(of: address) == key) }
}
