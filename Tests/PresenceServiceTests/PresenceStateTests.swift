import Testing

@testable import PresenceService

@Suite("Presence state machine")
struct PresenceStateTests {
    private var driver = StateDriver()

    @Test("a silent gateway's users have left 5 s after it is given up")
    mutating func silence() throws {
        _ = try driver.announce("g1", ["u1"])
        #expect(driver.takeNews() == ["joined:u1"])
        driver.pass(9500)
        #expect(driver.state.gateways(of: "u1") == ["g1"])
        driver.pass(500)
        #expect(driver.state.gateways(of: "u1") == [])
        driver.pass(4500)
        #expect(driver.takeNews() == [])
        driver.pass(500)
        #expect(driver.takeNews() == ["left:u1"])
        #expect(driver.state.nextDeadline == nil)
    }

    @Test("a gateway that restarts within the grace and announces the same users makes no news")
    mutating func restart() throws {
        let old = try driver.announce("g1", ["u1", "u2"])
        _ = driver.takeNews()
        driver.pass(1000)
        let new = try driver.announce("g1", incarnation: "b", ["u1"])
        #expect(new != old)
        #expect(driver.state.gateways(of: "u2") == [])
        driver.pass(6000, heartbeats: [("g1", "b")])
        #expect(driver.takeNews() == ["left:u2"])
        #expect(throws: PresenceError.unknownRegistration) {
            try driver.send("g1", old, [.join(.customer("u9"))])
        }
    }

    @Test("after an announced drain the grace is the longer one, whether users leave or the registration ends")
    mutating func drain() throws {
        let number = try driver.announce("g1", ["u1", "u2"])
        _ = driver.takeNews()
        driver.beat("g1", connections: 2, draining: true)
        try driver.send("g1", number, [.leave(userID: "u1")])
        #expect(driver.beat("g1", connections: 0, draining: true) == nil)
        driver.pass(29_500)
        #expect(driver.takeNews() == [])
        driver.pass(500)
        #expect(driver.takeNews() == ["left:u1", "left:u2"])
    }

    @Test("a late copy of an old announcement does not undo what came after it")
    mutating func lateAnnouncement() throws {
        let number = try driver.announce("g1", ["u1"])
        try driver.send("g1", number, [.leave(userID: "u1"), .join(.customer("u2"))])
        let copy: [PresenceState.Event] = [.announceBegin, .join(.customer("u1")), .announceEnd]
        try driver.sendCopy("g1", number, first: 1, copy)
        driver.pass(6000, heartbeats: [("g1", "a")])
        #expect(driver.takeNews() == ["joined:u1", "joined:u2", "left:u1"])
        #expect(driver.state.gateways(of: "u2") == ["g1"])
    }

    @Test("an announcement over several batches, with joins and leaves between, ends in the gateway's state")
    mutating func longAnnouncement() throws {
        let number = try driver.announce("g1", ["u1", "u2", "u3"])
        try driver.send("g1", number, [.announceBegin, .join(.customer("u1"))])
        try driver.send("g1", number, [.join(.customer("u4")), .leave(userID: "u1")])
        #expect(driver.state.gateways(of: "u2") == ["g1"])
        try driver.send("g1", number, [.join(.customer("u3")), .announceEnd])
        #expect(["u1", "u2", "u3", "u4"].map { driver.state.gateways(of: $0) } == [[], [], ["g1"], ["g1"]])
    }

    @Test("a process that stood still gives gateways and graces their time again")
    mutating func stall() throws {
        _ = try driver.announce("g1", ["u1", "u2"])
        let number = driver.beat("g1") ?? 0
        try driver.send("g1", number, [.leave(userID: "u2")])
        _ = driver.takeNews()
        driver.pass(500)
        driver.now = driver.now.advanced(by: 60_000)
        let advance = driver.state.advance(now: driver.now)
        #expect(advance.ended.isEmpty)
        #expect(advance.news.isEmpty)
        driver.pass(4500)
        #expect(driver.takeNews() == ["left:u2"])
        #expect(driver.state.gateways(of: "u1") == ["g1"])
    }

    @Test("nobody's absence counts until every gateway has had its time to announce")
    mutating func settled() {
        #expect(!driver.state.isSettled(now: driver.now.advanced(by: 9999)))
        #expect(driver.state.isSettled(now: driver.now.advanced(by: 10_000)))
    }

    @Test("a user past the limit is named, the rest of the batch is applied")
    func refused() throws {
        var limits = PresenceState.Limits()
        limits.usersMax = 1
        var driver = StateDriver(limits)
        let number = driver.beat("g1") ?? 0
        let events: [PresenceState.Event] = [
            .announceBegin, .join(.customer("u1")), .join(.customer("u2")), .announceEnd,
        ]
        let applied = try driver.state.apply(events, from: "g1", registration: number, first: 1, now: driver.now)
        #expect(applied.refused == ["u2"])
        #expect(applied.news.words == ["joined:u1"])
        #expect(applied.acceptedThrough == 4)
    }
}
