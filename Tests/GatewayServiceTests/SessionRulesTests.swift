import Contracts
import Core
import Foundation
import ServiceKit
import TestSupport
import Testing

@testable import GatewayService

@Suite("Sockets and their sessions (R12)", .timeLimit(.minutes(5)))
struct SessionRulesTests {
    private let directory: TemporaryDirectory
    private let fixture: GatewayFixture
    private var auth: SessionStub { fixture.auth }

    init() async throws {
        directory = try TemporaryDirectory()
        fixture = try await GatewayFixture(directory.path)
        await fixture.followSessions()
    }

    private func end() async {
        auth.set { $0.gate = nil }
        await fixture.close()
    }

    private func hash(_ sessionID: String) -> String { SessionVerifier.hash(ofSessionID: sessionID) }

    // MARK: - Handshakes

    @Test("a session that ends while the handshake asks gets no socket")
    func endedDuringHandshake() async throws {
        auth.add("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        async let socket = fixture.handshake("s1")
        #expect(await eventually { auth.get { $0.verifications } == 1 })
        auth.end("s1")
        await hearFeed()
        open.finish()
        #expect(try await socket.head.hasPrefix("HTTP/1.1 401"))
        await end()
    }

    @Test("after too many handshakes that auth refuses, the address gets 429, and auth is not asked")
    func failedHandshakes() async throws {
        auth.add("s1")
        for _ in 0..<AdmissionControl.failuresBurst {
            #expect(try await fixture.handshake("dead").head.hasPrefix("HTTP/1.1 401"))
        }
        let asked = auth.get { $0.verifications }
        for sessionID in ["dead", "s1"] {
            let head = try await fixture.handshake(sessionID).head
            #expect(head.hasPrefix("HTTP/1.1 429") && head.lowercased().contains("retry-after: "))
        }
        #expect(auth.get { $0.verifications } == asked)
        #expect(fixture.gateway.admission.total == 0)
        await end()
    }

    @Test("while auth is away handshakes fail on our side, which counts for no address")
    func handshakesWhileAway() async throws {
        auth.add("s1")
        auth.set { $0.isAway = true }
        #expect(await eventually { auth.get { $0.refusedPolls } > 0 })
        fixture.clocks.advanceMonotonic(5001)
        for _ in 0...AdmissionControl.failuresBurst {
            #expect(try await fixture.handshake("s1").head.hasPrefix("HTTP/1.1 503"))
        }
        auth.set { $0.isAway = false }
        #expect(await eventually { fixture.sessions.isFeedFresh })
        #expect(try await fixture.handshake("s1").head.hasPrefix("HTTP/1.1 101"))
        await end()
    }

    @Test("a session that is refreshed while the handshake asks: the socket is its successor's")
    func refreshedDuringHandshake() async throws {
        auth.add("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        async let opened = fixture.open("s1")
        #expect(await eventually { auth.get { $0.verifications } == 1 })
        auth.add("s2")
        auth.end("s1", replacedBy: "s2")
        await hearFeed()
        auth.set { $0.gate = nil }
        open.finish()
        let device = try await opened
        auth.end("s1")
        await hearFeed()
        #expect(try await device.framesSoFar() == [], "the old id's end is not the socket's")
        auth.end("s2")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("a socket follows two refreshes, and ends with the third id")
    func refreshedTwice() async throws {
        auth.add("s1")
        let device = try await fixture.open("s1")
        auth.end("s1", replacedBy: "s2")
        auth.end("s2", replacedBy: "s3")
        auth.end("s1")
        auth.end("s2")
        await hearFeed()
        #expect(try await device.framesSoFar() == [])
        auth.end("s3")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("an unknown epoch, or a number that was trimmed: every session is asked about", arguments: [true, false])
    func missedNews(isOtherEpoch: Bool) async throws {
        auth.add("s1")
        auth.add("s2")
        let (ended, alive) = (try await fixture.open("s1"), try await fixture.open("s2"))
        auth.forget("s1")
        auth.set { state in
            if isOtherEpoch { state.epoch = "e2" } else { state.number += 1 }
        }
        #expect(try await ended.socket.receiveClose().code == 4401)
        #expect(try await alive.framesSoFar() == [])
        await end()
    }

    @Test("the feed silent for 5 s: no new sockets; for 60 s: those that are open close with 1013")
    func silentFeed() async throws {
        auth.add("s1")
        let device = try await fixture.open("s1")
        auth.set { $0.isAway = true }
        // Polls come one after the other, so no answer is on its way any more.
        #expect(await eventually { auth.get { $0.refusedPolls } > 0 })
        fixture.clocks.advanceMonotonic(5001)
        #expect(try await fixture.handshake("s1").head.hasPrefix("HTTP/1.1 503"))
        #expect(try await device.framesSoFar() == [])
        fixture.clocks.advanceMonotonic(55_000)
        #expect(try await device.socket.receiveClose().code == 1013)
        await end()
    }

    @Test("what is known of users' types is forgotten when their account changes, and of all after missed news")
    func changedAccounts() async throws {
        let directory = fixture.gateway.directory
        let agent = Identity(userID: "a9", userName: "A", userType: .agent)
        for userID in ["u1", "u2"] { directory.learn(userID, .customer, since: directory.mark) }
        auth.change("u1")
        #expect(await eventually { directory.cached("u1", for: agent) == nil })
        #expect(directory.cached("u2", for: agent) == .customer)
        auth.set { $0.epoch = "e2" }
        #expect(await eventually { directory.cached("u2", for: agent) == nil })
        await end()
    }

    @Test("the feed goes silent while auth is asked: what it has answered is not enough for a socket")
    func silentMeanwhile() async throws {
        auth.add("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        async let socket = fixture.handshake("s1")
        #expect(await eventually { auth.get { $0.verifications } == 1 })
        auth.set { $0.isAway = true }
        // Polls come one after the other, so no answer is on its way any more.
        #expect(await eventually { auth.get { $0.refusedPolls } > 0 })
        fixture.clocks.advanceMonotonic(5001)
        open.finish()
        #expect(try await socket.head.hasPrefix("HTTP/1.1 503"))
        await end()
    }

    // MARK: - Expiry

    @Test("a session that has run out closes its sockets once auth says so")
    func expired() async throws {
        auth.add("s1")
        let device = try await fixture.open("s1")
        fixture.clocks.advanceWall(3_600_000 - 300_000 + 1000)
        let warning = try await device.frame("System")
        #expect(warning["code"] == "session_expiring" && warning["message"]?.isEmpty == false)
        #expect(warning["expires_at"] == auth.get { $0.sessions["s1"]?.expiresAt?.wire })
        let asked = auth.get { $0.checks.count }
        auth.forget("s1")
        fixture.clocks.advanceWall(200_000)
        #expect(try await device.framesSoFar() == [], "told once, and not asked about before its end")
        #expect(auth.get { $0.checks.count } == asked)
        fixture.clocks.advanceWall(100_000)
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("a session that use has lengthened lives on without a word: its end races the slide")
    func lengthened() async throws {
        auth.add("s1")
        let device = try await fixture.open("s1")
        let later = fixture.clocks.wall.advanced(byMilliseconds: 7_200_000)
        auth.set { $0.checkedExpiry = later }
        fixture.clocks.advanceWall(3_600_001)
        #expect(await eventually { auth.get { !$0.checks.isEmpty } })
        #expect(auth.get { $0.checks[0] } == [hash("s1")])
        #expect(try await device.framesSoFar() == [])
        // Its new end counts, and its warning comes before.
        fixture.clocks.advanceWall(3_400_000)
        #expect(try await device.frame("System")["expires_at"] == later.wire)
        // What it is lengthened to by then is warned of again.
        let last = later.advanced(byMilliseconds: 400_000)
        auth.set { $0.checkedExpiry = last }
        fixture.clocks.advanceWall(200_000)
        #expect(try await device.framesSoFar() == [])
        fixture.clocks.advanceWall(200_000)
        #expect(try await device.frame("System")["expires_at"] == last.wire)
        await end()
    }

    @Test("while auth is away a session that has run out keeps its sockets")
    func expiredWhileAway() async throws {
        auth.add("s1")
        let device = try await fixture.open("s1")
        auth.set { $0.isAway = true }
        auth.forget("s1")
        fixture.clocks.advanceWall(3_600_001)
        #expect(await eventually { auth.get { $0.checksRefused } > 0 })
        #expect(try await device.framesSoFar() == [])
        auth.set { $0.isAway = false }
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    // MARK: - Session frames

    @Test("a socket goes over to the session that its client brings, and ends with it")
    func renewed() async throws {
        auth.add("s1")
        auth.add("s2", until: Timestamp.now().advanced(byMilliseconds: 7_200_000))
        let device = try await fixture.open("s1")
        #expect(try await device.bring("s2") == "session_renewed")
        auth.end("s1")
        await hearFeed()
        // The new one's end counts, too.
        fixture.clocks.advanceWall(3_600_001)
        #expect(try await device.framesSoFar() == [])
        #expect(auth.get { $0.checks.isEmpty })
        auth.end("s2")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("a socket that goes over to a session that ends sooner is warned in time")
    func renewedForLess() async throws {
        auth.add("s1")
        auth.add("s2", until: Timestamp.now().advanced(byMilliseconds: 600_000))
        let device = try await fixture.open("s1")
        #expect(try await device.bring("s2") == "session_renewed")
        fixture.clocks.advanceWall(301_000)
        #expect(try await device.frame("System")["code"] == "session_expiring")
        await end()
    }

    @Test("another user's session, a dead one, and one too many are refused; the socket stays")
    func refused() async throws {
        auth.add("s1")
        auth.add("s2", of: "u2")
        auth.add("s3", of: "a1")
        let device = try await fixture.open("s1")
        #expect(try await device.bring("s2") == "session_mismatch")
        #expect(try await device.bring("s3") == "session_mismatch")
        #expect(try await device.bring("dead") == "session_ended")
        // Nothing is left of those questions.
        let pending = fixture.gateway.entrance.pending
        for sessionID in ["s2", "dead"] {
            pending.revoke(hash(sessionID), replacedBy: nil)
            #expect(pending.end(hash(sessionID)) == .alive)
        }
        for _ in 0..<7 { #expect(try await device.bring("s1") == "session_renewed") }
        #expect(try await device.bring("s1") == "too_many_requests")
        auth.end("s1")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("without the feed no session is taken")
    func renewedWhileAway() async throws {
        auth.add("s1")
        auth.add("s2")
        let device = try await fixture.open("s1")
        auth.set { $0.isAway = true }
        #expect(await eventually { auth.get { $0.refusedPolls } > 0 })
        fixture.clocks.advanceMonotonic(5001)
        #expect(try await device.bring("s2") == "unavailable")
        await end()
    }

    @Test("an end that comes while the frame's session is asked about wins: the socket keeps the session it had")
    func endedDuringFrame() async throws {
        auth.add("s1")
        auth.add("s2")
        let device = try await fixture.open("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        async let answer = device.bring("s2")
        #expect(await eventually { auth.get { $0.verifications } == 2 })
        auth.end("s2")
        await hearFeed()
        open.finish()
        #expect(try await answer == "session_ended")
        #expect(try await device.framesSoFar() == [])
        auth.end("s1")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("a refresh that comes while the frame's session is asked about: the socket is the successor's")
    func refreshedDuringFrame() async throws {
        auth.add("s1")
        auth.add("s2")
        let device = try await fixture.open("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        async let answer = device.bring("s2")
        #expect(await eventually { auth.get { $0.verifications } == 2 })
        auth.end("s2", replacedBy: "s3")
        await hearFeed()
        auth.set { $0.gate = nil }
        open.finish()
        #expect(try await answer == "session_renewed")
        auth.end("s3")
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    @Test("a socket whose own session ends while it asks about another closes")
    func ownEndedDuringFrame() async throws {
        auth.add("s1")
        auth.add("s2")
        let device = try await fixture.open("s1")
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        auth.set { $0.gate = gate }
        try await device.send(#"{"type":"Session","session_id":"s2"}"#)
        #expect(await eventually { auth.get { $0.verifications } == 2 })
        auth.end("s1")
        await hearFeed()
        open.finish()
        #expect(try await device.socket.receiveClose().code == 4401)
        await end()
    }

    /// Returns when all that the feed has so far was heard, on every loop.
    private func hearFeed() async {
        auth.end("marker-\(auth.get { $0.number })")
        let number = auth.get { $0.number }
        #expect(await eventually { fixture.heardNumber == number })
    }
}
