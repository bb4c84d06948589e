import Synchronization
import TestSupport
import Testing

@testable import GatewayService

@Suite("Recalls are bounded: each is a step of the log of its own", .timeLimit(.minutes(5)))
struct RecallBoundsTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func recall(_ target: Int, by device: Device) async throws {
        try await device.send(#"{"type":"Recall","conversation_id":"c:u1","target_seq":\#(target)}"#)
    }

    @Test("too many unanswered ones pause the connection, and their answers let it go on")
    func paused() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let device = try await fixture.device("u1")
        try await device.write("k1")
        try await recall(1, by: device)
        _ = try await device.frames(upTo: "Ack 2")
        fixture.setWay(.held)
        for _ in 1..<ClientSession.recallsMax { try await recall(1, by: device) }
        // One less than that does not hold up what follows.
        #expect(try await device.framesSoFar() == [])
        try await recall(1, by: device)
        try await device.send(#"{"type":"Heartbeat"}"#)
        let underWay = Atomic(0)
        #expect(
            await eventually {
                fixture.gateway.onEachLoop { shard in
                    for session in shard.sessions.all { underWay.store(session.recallsUnderWay, ordering: .relaxed) }
                }
                return underWay.load(ordering: .relaxed) == ClientSession.recallsMax
            }
        )
        fixture.setWay(.open)
        let answered = try await device.frames(upTo: "Heartbeat").dropLast()
        #expect(answered.count >= ClientSession.recallsMax - ClientSession.recallsResume)
        #expect(answered.allSatisfy { $0 == "Ack 2" })
        for _ in answered.count..<ClientSession.recallsMax {
            #expect(try await device.frames(upTo: "Ack 2") == ["Ack 2"])
        }
        await fixture.close()
    }

    @Test("those that the log refuses count as refused frames, of which too many close the connection")
    func refused() async throws {
        let fixture = try await GatewayFixture(directory.path)
        let device = try await fixture.device("u1")
        try await device.write("k1")
        _ = try await device.frames(upTo: "Ack 1")
        for _ in 1...20 {
            try await recall(9, by: device)
            #expect(try await device.frame("Error")["code"] == "message_unknown")
        }
        #expect(fixture.metric(#"gateway_frames_refused_total{code="message_unknown"}"#) == 20)
        #expect(try await device.framesSoFar() == [])
        try await recall(9, by: device)
        #expect(try await device.frame("Error")["code"] == "message_unknown")
        #expect(try await device.socket.receiveClose().code == 1008)
        await fixture.close()
    }
}
