import Testing

@testable import Redis

@Suite("Reconnecting")
struct ReconnectStateTests {
    private let pauses = ReconnectState.Pauses()

    @Test("pauses double up to the longest, each within its upper half")
    func pausesDouble() {
        var state = ReconnectState(pauses, patience: 2000, now: 0)
        for (failures, pause) in [20, 40, 80, 160, 320, 640, 1000, 1000, 1000].enumerated().map({ ($0, Int64($1)) }) {
            #expect(state.failures == failures)
            var other = state
            #expect(other.failed(now: 5, random: UInt64(pause - pause / 2 + 1) * 7) >= 5 + pause / 2)
            other = state
            #expect(other.failed(now: 5, random: UInt64(pause / 2)) == 5 + pause)
            #expect(state.failed(now: 5, random: 0) == 5 + pause - pause / 2)
        }
        for _ in 0..<100 { #expect(state.failed(now: 0, random: 0) == 500) }
    }

    @Test("after a connection that lasted the next attempt is made at once")
    func lasting() {
        var state = ReconnectState(pauses, patience: 2000, now: 0)
        for _ in 0..<5 { _ = state.failed(now: 0, random: 0) }
        state.connected(now: 100)
        #expect(state.lost(now: 1100, random: 0) == 1100)
        #expect(state.failures == 0)
        #expect(state.failed(now: 1100, random: 0) == 1110)
    }

    @Test("a server that accepts and dies is not run against")
    func flapping() {
        var state = ReconnectState(pauses, patience: 2000, now: 0)
        var now: Int64 = 0
        var attempts = 0
        while now < 60_000 {
            state.connected(now: now)
            now = state.lost(now: now + 1, random: 0)
            attempts += 1
        }
        #expect(attempts < 130, "in a minute")
    }

    @Test("patience is counted from the end of the connection, not from the last attempt")
    func patience() {
        var state = ReconnectState(pauses, patience: 2000, now: 10)
        #expect(state.isPatient(now: 2009))
        #expect(!state.isPatient(now: 2010))
        state.connected(now: 3000)
        #expect(state.isPatient(now: 100_000))
        #expect(state.patienceEnds == nil)
        _ = state.lost(now: 100_000, random: 0)
        _ = state.failed(now: 101_000, random: 0)
        #expect(state.isPatient(now: 101_999))
        #expect(!state.isPatient(now: 102_000))
    }
}
