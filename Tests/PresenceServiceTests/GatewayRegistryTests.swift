import Testing

@testable import PresenceService

@Suite("Gateway registry (rule R3)")
struct GatewayRegistryTests {
    private var registry = GatewayRegistry(firstNumber: 7, silenceMax: 10_000, gatewaysMax: 2)

    private mutating func beat(
        _ id: String,
        _ incarnation: String,
        connections: Int = 1,
        draining: Bool = false,
        at now: Milliseconds = 0
    ) throws -> (number: Int?, ended: GatewayRegistry.Registration?) {
        try registry.heartbeat(
            id,
            url: "http://\(id)",
            incarnation: incarnation,
            connections: connections,
            draining: draining,
            now: now
        )
    }

    private mutating func admit(
        _ number: Int,
        first: Int,
        count: Int,
        begins: Bool = false,
        at now: Milliseconds = 0
    ) throws -> GatewayRegistry.Admission {
        try registry.admit(
            "g1",
            registration: number,
            first: first,
            count: count,
            beginsAnnouncement: begins,
            now: now
        )
    }

    @Test("an incarnation keeps its number; a new one gets a new number and ends the old")
    mutating func incarnations() throws {
        #expect(try beat("g1", "a").number == 7)
        #expect(try beat("g1", "a").number == 7)
        let second = try beat("g1", "b")
        #expect(second.number == 8)
        #expect(second.ended?.number == 7)
        #expect(registry.registration(7) == nil)
        #expect(throws: PresenceError.unknownRegistration) { try admit(7, first: 1, count: 1, begins: true) }
    }

    @Test("a drained gateway's registration ends, and late news of it does not bring it back")
    mutating func drain() throws {
        _ = try beat("g1", "a")
        #expect(try beat("g1", "a", connections: 3, draining: true).number == 7)
        let last = try beat("g1", "a", connections: 0, draining: true)
        #expect(last.number == nil)
        #expect(last.ended?.number == 7)
        #expect(try beat("g1", "a", connections: 0, draining: true).number == nil)
        #expect(registry.count == 0)
        let next = try beat("g1", "b").number
        #expect(try beat("g1", "a", connections: 0, draining: true).ended == nil)
        #expect(registry.gateway("g1")?.number == next)
    }

    @Test("silence ends a registration at its limit, not before; events count as hearing")
    mutating func silence() throws {
        _ = try beat("g1", "a", at: 0)
        _ = try admit(7, first: 1, count: 1, begins: true, at: 4000)
        #expect(registry.nextDeadline == 14_000)
        #expect(registry.expire(now: 13_999) == [])
        #expect(registry.expire(now: 14_000).map(\.number) == [7])
        #expect(try beat("g1", "a", at: 14_001).number == 8)
    }

    @Test("one gateway past the limit is refused, a known one is not")
    mutating func limit() throws {
        _ = try beat("g1", "a")
        _ = try beat("g2", "a")
        #expect(throws: PresenceError.tooManyGateways(max: 2)) { try beat("g3", "a") }
        #expect(try beat("g2", "b").number == 9)
    }

    @Test("events before the first announcement are refused")
    mutating func announcementFirst() throws {
        _ = try beat("g1", "a")
        #expect(throws: PresenceError.announcementMissing) { try admit(7, first: 1, count: 1) }
        #expect(try admit(7, first: 1, count: 2, begins: true) == .init(duplicates: 0, acceptedThrough: 2))
        #expect(try admit(7, first: 3, count: 1) == .init(duplicates: 0, acceptedThrough: 3))
    }

    @Test("each number is admitted once: copies, overlaps, gaps")
    mutating func numbers() throws {
        _ = try beat("g1", "a")
        _ = try admit(7, first: 1, count: 5, begins: true)
        #expect(try admit(7, first: 1, count: 5, begins: true) == .init(duplicates: 5, acceptedThrough: 5))
        #expect(try admit(7, first: 4, count: 4) == .init(duplicates: 2, acceptedThrough: 7))
        #expect(try admit(7, first: 2, count: 3) == .init(duplicates: 3, acceptedThrough: 7))
        #expect(try admit(7, first: 8, count: 0) == .init(duplicates: 0, acceptedThrough: 7))
        #expect(throws: PresenceError.gap(expected: 8, got: 9)) { try admit(7, first: 9, count: 1) }
        #expect(try admit(7, first: 8, count: 1) == .init(duplicates: 0, acceptedThrough: 8))
    }

    @Test("a new announcement may skip numbers, and what it skipped is then old")
    mutating func announcementSkips() throws {
        _ = try beat("g1", "a")
        _ = try admit(7, first: 1, count: 2, begins: true)
        #expect(try admit(7, first: 50, count: 2, begins: true) == .init(duplicates: 0, acceptedThrough: 51))
        #expect(try admit(7, first: 3, count: 4) == .init(duplicates: 4, acceptedThrough: 51))
    }

    @Test("another gateway's registration number is unknown")
    mutating func foreign() throws {
        _ = try beat("g1", "a")
        let other = try beat("g2", "a").number ?? 0
        #expect(throws: PresenceError.unknownRegistration) { try admit(other, first: 1, count: 1, begins: true) }
    }
}
