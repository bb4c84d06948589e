import ServiceKit
import Testing

@testable import PresenceService

@Suite("Presence settings")
struct PresenceConfigTests {
    @Test("the defaults are the design's: 5 s and 30 s of grace, 10 s of silence")
    func defaults() throws {
        let config = try PresenceConfig(try Settings.development(["data_dir": "/var/lib/chat"]))
        #expect(config.limits == PresenceState.Limits())
        #expect(config.limits.leaveGrace == 5000)
        #expect(config.limits.drainGrace == 30_000)
        #expect(config.limits.gatewaySilenceMax == 10_000)
        #expect(config.url.description == "http://127.0.0.1:6003")
        #expect(config.leaseMilliseconds == 2000)
        #expect(config.routingLimits == RoutingTable.Limits())
        #expect(config.queueInterval == 500)
    }

    @Test(
        "values that contradict each other, or an address that other instances cannot reach, stop the start",
        arguments: [
            ["presence.lease_ms": "10000"], ["presence.drain_grace_ms": "4999"], ["presence.users_max": "0"],
            ["store": "redis://localhost", "presence.listen": "0.0.0.0:6003"],
            ["store": "redis://localhost", "presence.listen": "127.0.0.1:0"], ["presence.queue_max": "100001"],
            ["presence.agent_capacity": "0"],
        ]
    )
    func contradictions(overrides: [String: String]) {
        #expect(throws: SettingsError.self) { try PresenceConfig(try Settings.development(overrides)) }
    }

    @Test("an instance is reached where it listens, or where it says")
    func address() throws {
        let listens = ["store": "redis://localhost", "presence.listen": "127.0.0.2:7003"]
        #expect(try PresenceConfig(try Settings.development(listens)).url.description == "http://127.0.0.2:7003")
        let says = ["presence.listen": "[::]:7003", "presence.advertise_url": "http://presence-2:7003"]
        let config = try PresenceConfig(try Settings.development(says.merging(listens) { value, _ in value }))
        #expect(config.url.description == "http://presence-2:7003")
    }
}
