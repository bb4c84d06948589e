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

    private func status(_ error: (any Error)?) -> Int? { (error as? Problem)?.status }
}
