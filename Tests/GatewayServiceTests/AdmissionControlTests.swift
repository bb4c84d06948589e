import Core
import Synchronization
import Testing

@testable import GatewayService

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

    @Test("takes in so many a second; who comes too fast is told when to come again, and takes no place")
    func rate() throws {
        let start: Int64 = 10_000
        let fixed = Atomic(start)
        let control = AdmissionControl(
            connectionsMax: 1000,
            perAddressMax: 1000,
            perSecond: 5,
            now: { fixed.load(ordering: .relaxed) }
        )
        for _ in 0..<5 { try control.enter("a") }
        var retries: Set<String> = []
        for _ in 0..<100 {
            let error = #expect(throws: (any Error).self) { try control.enter("a") }
            #expect(status(error) == 503)
            retries.formUnion((error as? Problem)?.headers.filter { $0.name == "Retry-After" }.map(\.value) ?? [])
        }
        #expect(retries.count > 1)
        #expect(control.total == 5)
        fixed.store(start + 200, ordering: .relaxed)
        try control.enter("a")
        #expect(throws: (any Error).self) { try control.enter("a") }
    }

    @Test("an address is a network of 64 bits of IPv6, and one of IPv4 however it is written")
    func networks() throws {
        let control = AdmissionControl(connectionsMax: 100, perAddressMax: 2)
        for address in ["2001:db8::1", "2001:db8:0:0:9::2", "192.0.2.1", "::ffff:192.0.2.1"] {
            try control.enter(address)
        }
        for address in ["2001:db8::3", "192.0.2.1"] {
            let error = #expect(throws: (any Error).self) { try control.enter(address) }
            #expect(status(error) == 429)
        }
        try control.enter("2001:db8:0:1::1")
        control.leave("2001:db8::4")
        try control.enter("2001:db8::5")
        #expect(control.total == 5)
    }

    @Test("an address whose handshakes fail is refused before it takes from the others' rate; it is over at once after")
    func failures() throws {
        let start: Int64 = 10_000
        let now = Atomic(start)
        let control = AdmissionControl(
            connectionsMax: 1000,
            perAddressMax: 1000,
            perSecond: AdmissionControl.failuresBurst + 2,
            now: { now.load(ordering: .relaxed) }
        )
        // As many under way at once as there may be, and one more.
        for _ in 0...AdmissionControl.failuresBurst { try control.enter("192.0.2.1") }
        for _ in 0...AdmissionControl.failuresBurst {
            control.failed("::ffff:192.0.2.1")
            control.leave("192.0.2.1")
        }
        for _ in 0..<10 {
            let error = #expect(throws: (any Error).self) { try control.enter("192.0.2.1") }
            let problem = error as? Problem
            #expect(problem?.status == 429 && problem?.code == .tooManyRequests)
            #expect(problem?.headers.contains { $0.name == "Retry-After" } == true)
        }
        #expect(control.total == 0)
        // The others' rate has one left.
        try control.enter("192.0.2.2")
        now.store(start + 1000 / Int64(AdmissionControl.failuresPerSecond), ordering: .relaxed)
        for _ in 0..<5 { try control.enter("192.0.2.1") }
        control.failed("192.0.2.1")
        #expect(throws: (any Error).self) { try control.enter("192.0.2.1") }
    }

    private func status(_ error: (any Error)?) -> Int? { (error as? Problem)?.status }
}
