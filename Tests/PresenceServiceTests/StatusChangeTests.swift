import Core
import Synchronization
import TestSupport
import Testing

@testable import PresenceService
@testable import ServiceKit

@Suite("Changes of a status: stored when they are any, and not too many of them", .timeLimit(.minutes(5)))
struct StatusChangeTests {
    /// Keeps what is saved; a save may fail, or wait.
    private final class Store: StatusStore {
        struct Failure: Error {}

        private let state = Mutex((saved: [ChosenStatus](), isFailing: false))
        let gate = Mutex<AsyncStream<Void>?>(nil)

        var saved: [ChosenStatus] { state.withLock { $0.saved } }
        func fail(_ isFailing: Bool) { state.withLock { $0.isFailing = isFailing } }

        func statuses() async throws -> [String: ChosenStatus] { [:] }
        func save(_ status: ChosenStatus, of userID: String) async throws {
            let isFailing = state.withLock { state in
                state.saved.append(status)
                return state.isFailing
            }
            if let gate = gate.withLock({ $0 }) { for await _ in gate {} }
            if isFailing { throw Failure() }
        }
        func record(lastSeen: [String: Timestamp]) async throws {}
        func lastSeen(of userID: String) async throws -> Timestamp? { nil }
        func ping() async throws {}
    }

    private let store = Store()
    private let clock = Clock()
    private let presence: Presence

    private final class Clock: Sendable {
        private let moment = Mutex(Moment.start)
        var now: Moment { moment.withLock { $0 } }
        func pass(_ span: Milliseconds) { moment.withLock { $0 = $0.advanced(by: span) } }
    }

    init() {
        let clock = clock
        presence = Presence(
            PresenceState(limits: .init(), firstRegistration: 100, now: .start),
            feed: ChangeFeed(ChangeHistory(epoch: "epoch", changesMax: 100), now: { clock.now.monotonic }) {},
            store: store,
            leaseMilliseconds: 2000,
            log: Log(service: "presence", level: .error),
            metrics: PresenceMetrics(Metrics(includesProcess: false)),
            clock: { clock.now },
            tellRouting: { _ in }
        )
    }

    @Test("what is chosen already is not stored again")
    func same() async throws {
        for status in [ChosenStatus.online, .busy, .busy, .busy, .online, .online] {
            _ = try await presence.setStatus(status, of: "a1")
        }
        #expect(store.saved == [.busy, .online])
    }

    @Test("after a change that failed, and may have been stored all the same, the former choice is stored again")
    func failed() async throws {
        store.fail(true)
        await #expect(throws: Store.Failure.self) { try await presence.setStatus(.busy, of: "a1") }
        store.fail(false)
        for _ in 0..<2 { _ = try await presence.setStatus(.online, of: "a1") }
        #expect(store.saved == [.busy, .online])
    }

    @Test("while a change is being stored the former choice is a change")
    func underWay() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        store.gate.withLock { $0 = gate }
        let first = Task { try await presence.setStatus(.busy, of: "a1") }
        #expect(await eventually { store.saved == [.busy] })
        store.gate.withLock { $0 = nil }
        _ = try await presence.setStatus(.online, of: "a1")
        open.finish()
        _ = try await first.value
        #expect(store.saved == [.busy, .online])
        _ = try await presence.setStatus(.busy, of: "a1")
        #expect(store.saved == [.busy, .online, .busy], "the later choice is what is shown")
    }

    @Test("a user has so many changes at once and a minute; others are not held up", arguments: ["a1", "guest-1"])
    func limit(userID: String) async throws {
        let statuses: [ChosenStatus] = [.busy, .away]
        for number in 0..<StatusLimit.burst { _ = try await presence.setStatus(statuses[number % 2], of: userID) }
        let refused = await #expect(throws: PresenceError.self) { try await presence.setStatus(.busy, of: userID) }
        #expect(refused?.problem.status == 429 && refused?.problem.code == .tooManyRequests)
        #expect(refused?.problem.headers.contains { $0.name == "Retry-After" && $0.value == "2" } == true)
        _ = try await presence.setStatus(.busy, of: "a2")
        if userID == "a1" { _ = try await presence.setStatus(.away, of: userID) }
        clock.pass(Milliseconds(60_000 / StatusLimit.perMinute))
        _ = try await presence.setStatus(.busy, of: userID)
        await #expect(throws: PresenceError.self) { try await presence.setStatus(.away, of: userID) }
    }
}
