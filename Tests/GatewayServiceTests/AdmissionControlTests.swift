import Core
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

    private func status(_ error: (any Error)?) -> Int? { (error as? Problem)?.status }
}
