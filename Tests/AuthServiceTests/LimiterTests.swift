import Core
import Crypto
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import AuthService

@Suite("FailureTable")
struct FailureTableTests {
    private static let window: Int64 = 900_000

    @Test("is free below its limit; then each failure doubles the wait, up to the window")
    func doubling() {
        var table = FailureTable(failuresMax: 3, windowMilliseconds: Self.window, keysMax: 10)
        var now: Int64 = 5000
        for _ in 0..<3 {
            #expect(table.wait("a", now: now) == nil)
            table.count("a", now: now)
        }
        for seconds: Int64 in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            #expect(table.wait("a", now: now) == seconds * 1000)
            now += seconds * 1000
            #expect(table.wait("a", now: now - 1) == 1)
            #expect(table.wait("a", now: now) == nil)
            table.count("a", now: now)
        }
        #expect(table.wait("b", now: now) == nil)
        // 511 s in: the first three leave the window at 900 s, sooner than 512 s are over, and 8 s are then left.
        #expect(table.wait("a", now: now) == 5000 + Self.window - now)
    }

    @Test("more failures than the wait depends on are not held, and make it wait the window")
    func heldFailures() {
        var table = FailureTable(failuresMax: 3, windowMilliseconds: Self.window, keysMax: 10)
        for now in 0..<1000 { table.count("a", now: Int64(now)) }
        #expect(table.heldCount("a") == 13)
        #expect(table.wait("a", now: 999) == Self.window - 12)
        #expect(table.wait("a", now: 999 + Self.window) == nil)
    }

    @Test("a failure that is given back, and a key that is reset, count no more")
    func givesBack() {
        var table = FailureTable(failuresMax: 1, windowMilliseconds: Self.window, keysMax: 10)
        table.count("a", now: 0)
        table.count("a", now: 100)
        #expect(table.wait("a", now: 100) == 2000)
        table.giveBack("a", countedAt: 100)
        #expect(table.wait("a", now: 100) == 900)
        table.giveBack("a", countedAt: 7)
        #expect(table.wait("a", now: 100) == 900)
        table.giveBack("a", countedAt: 0)
        #expect(table.count == 0)
        table.count("a", now: 200)
        table.reset("a")
        #expect(table.wait("a", now: 200) == nil)
    }

    @Test("is bounded: past its limit it forgets those with the fewest failures, never the worst offender")
    func bounded() {
        var table = FailureTable(failuresMax: 3, windowMilliseconds: Self.window, keysMax: 100)
        for _ in 0..<8 { table.count("offender", now: 0) }
        for i in 0..<10_000 {
            table.count("key\(i)", now: Int64(i))
            #expect(table.count <= 100)
        }
        #expect(table.wait("offender", now: 10_000) != nil)
    }

    @Test("keys whose failures are over are the first to go")
    func oldKeysGo() {
        var table = FailureTable(failuresMax: 1, windowMilliseconds: 1000, keysMax: 4)
        for i in 0..<4 { table.count("old\(i)", now: Int64(i)) }
        table.count("new", now: 1002)
        #expect(table.wait("old3", now: 1002) == 1)
        #expect(table.count == 2)
    }

    @Test("who tries again as soon as it may gets no more than some ten attempts over the limit in a window")
    func persistentAttacker() {
        var table = FailureTable(failuresMax: 10, windowMilliseconds: Self.window, keysMax: 10)
        var now: Int64 = 0
        var attempts: [Int64] = []
        while now < 20 * Self.window {
            now += table.wait("a", now: now) ?? 0
            table.count("a", now: now)
            attempts.append(now)
            #expect(attempts.count { $0 > now - Self.window } <= 20)
        }
        #expect(attempts.count <= 20 * 21)
    }

    @Test("a wait is exact: an attempt is refused one step before and let through after it", arguments: 0..<30)
    func exactWait(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let failuresMax = 1 + random.next(below: 5)
        let window = Int64(1 + random.next(below: 40)) * 1000
        var table = FailureTable(failuresMax: failuresMax, windowMilliseconds: window, keysMax: 10)
        var times: [Int64] = []
        var now: Int64 = 0
        /// The rule itself.
        func isAllowed(at time: Int64) -> Bool {
            let excess = times.count { time - $0 < window } - failuresMax
            guard excess >= 0, let last = times.last else { return true }
            return time >= last + min(window, 1000 << Int64(excess))
        }
        for _ in 0..<200 {
            // Every bound is a multiple of a step, since all failures are.
            now += Int64(random.next(below: 12)) * 250
            let steps = stride(from: now, through: now + window, by: 250)
            let expected = steps.first { isAllowed(at: $0) } ?? -1
            #expect(table.wait("a", now: now) ?? 0 == expected - now, "seed \(seed), at \(now)")
            switch random.next(below: 10) {
            case 0:
                guard let time = times.randomElement(using: &random), now - time < window else { continue }
                times.remove(at: times.lastIndex(of: time) ?? 0)
                table.giveBack("a", countedAt: time)
            case 1...3: now = expected
            default: break
            }
            // As the limiter does: only what is allowed is counted.
            guard isAllowed(at: now) else { continue }
            times.append(now)
            table.count("a", now: now)
        }
    }
}

@Suite("LoginLimiter")
struct LoginLimiterTests {
    private let clock = ManualClock()

    private func limiter(
        _ limits: LoginLimiter.Limits,
        log: Log = AuthFixture.log,
        knowsAddress: @escaping LoginLimiter.KnowsAddress = { _, _ in false }
    ) -> LoginLimiter {
        LoginLimiter(limits, clock: clock.authClock.monotonicMilliseconds, log: log, knowsAddress: knowsAddress)
    }

    @Test("attempts under way count, so that many at once cannot pass together")
    func concurrentAttempts() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 2
        let limiter = limiter(limits)
        let first = try await limiter.begin("a", "192.0.2.1")
        _ = try await limiter.begin("a", "192.0.2.1")
        await #expect(throws: AuthError.self) { try await limiter.begin("a", "192.0.2.1") }
        limiter.abandoned(first)
        _ = try await limiter.begin("a", "192.0.2.1")
    }

    @Test("a network has a limit over all accounts, and a rate of successes")
    func networkLimits() async throws {
        var limits = LoginLimiter.Limits()
        limits.addressFailuresMax = 3
        limits.successesPerMinuteMax = 2
        let limiter = limiter(limits)
        for i in 0..<3 { limiter.failed(try await limiter.begin("u\(i)", "192.0.2.1")) }
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 1000)) {
            try await limiter.begin("u9", "192.0.2.1")
        }
        for _ in 0..<2 { limiter.succeeded(try await limiter.begin("v", "192.0.2.2")) }
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 30_000)) {
            try await limiter.begin("v", "192.0.2.2")
        }
    }

    @Test("a success forgets the account's failures from there, and of the others only its own attempt")
    func success() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 2
        limits.addressFailuresMax = 3
        let limiter = limiter(limits)
        limiter.failed(try await limiter.begin("a", "192.0.2.1"))
        limiter.succeeded(try await limiter.begin("a", "192.0.2.1"))
        for _ in 0..<2 { limiter.failed(try await limiter.begin("a", "192.0.2.1")) }
        await #expect(throws: AuthError.self) { try await limiter.begin("b", "192.0.2.1") }
    }

    @Test("one account has a limit over all networks, but not where its user is logged in")
    func everywhere() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresEverywhereMax = 3
        let questions = Mutex<[String]>([])
        let limiter = limiter(limits) { userID, network in
            questions.withLock { $0.append("\(userID) \(network)") }
            return network == "192.0.2.250"
        }
        for i in 0..<3 { limiter.failed(try await limiter.begin("a", "192.0.2.\(i)")) }
        #expect(questions.withLock { $0.isEmpty })
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 1000)) {
            try await limiter.begin("a", "192.0.2.100")
        }
        limiter.succeeded(try await limiter.begin("a", "192.0.2.250"))
        #expect(questions.withLock { $0 } == ["a 192.0.2.100", "a 192.0.2.250"])
        // The success there has not cleared what others did.
        await #expect(throws: AuthError.self) { try await limiter.begin("a", "192.0.2.100") }
        limiter.failed(try await limiter.begin("b", "192.0.2.100"))
        clock.advance(1000)
        limiter.failed(try await limiter.begin("a", "192.0.2.100"))
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 2000)) {
            try await limiter.begin("a", "192.0.2.101")
        }
    }

    @Test("where its user is logged in the other limits hold, without a question when they are what refuses")
    func knownNetwork() async throws {
        var limits = LoginLimiter.Limits()
        limits.accountFailuresMax = 2
        limits.accountFailuresEverywhereMax = 2
        let questions = Mutex(0)
        let limiter = limiter(limits) { _, _ in
            questions.withLock { $0 += 1 }
            return true
        }
        for _ in 0..<2 { limiter.failed(try await limiter.begin("a", "192.0.2.1")) }
        await #expect(throws: AuthError.tooManyAttempts(retryAfterMilliseconds: 1000)) {
            try await limiter.begin("a", "192.0.2.1")
        }
        #expect(questions.withLock { $0 } == 0)
        limiter.failed(try await limiter.begin("a", "192.0.2.2"))
        #expect(questions.withLock { $0 } == 1)
    }

    @Test("a question that cannot be answered lets nobody through, and counts for nothing")
    func unanswered() async throws {
        struct Unanswered: Error {}
        var limits = LoginLimiter.Limits()
        limits.accountFailuresEverywhereMax = 1
        limits.attemptsAtOnceMax = 1
        let limiter = limiter(limits) { _, _ in throw Unanswered() }
        limiter.failed(try await limiter.begin("a", "192.0.2.1"))
        for _ in 0..<3 {
            await #expect(throws: Unanswered.self) { try await limiter.begin("a", "192.0.2.2") }
        }
        clock.advance(1000)
        limiter.failed(try await limiter.begin("a", "192.0.2.2"))
    }

    @Test("a network has no more attempts under way than it may; one more is as for a full pool, and not counted")
    func attemptsAtOnce() async throws {
        var limits = LoginLimiter.Limits()
        limits.attemptsAtOnceMax = 2
        limits.addressFailuresMax = 5
        let limiter = limiter(limits)
        let first = try await limiter.begin("a", "2001:db8::1")
        let second = try await limiter.begin("b", "2001:db8::2")
        for _ in 0..<10 {
            await #expect(throws: PasswordHasherError.busy) { try await limiter.begin("c", "2001:db8::3") }
        }
        limiter.failed(try await limiter.begin("c", "192.0.2.1"))
        limiter.succeeded(first)
        limiter.failed(try await limiter.begin("c", "2001:db8::3"))
        limiter.abandoned(second)
        // What was abandoned has left its place, too.
        let both = [try await limiter.begin("d0", "2001:db8::3"), try await limiter.begin("d1", "2001:db8::3")]
        for attempt in both { limiter.failed(attempt) }
        for i in 2..<4 { limiter.failed(try await limiter.begin("d\(i)", "2001:db8::3")) }
        await #expect(throws: AuthError.self) { try await limiter.begin("e", "2001:db8::3") }
    }

    @Test("refusals are logged once a minute for each network")
    func logLines() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("log")
        let descriptor = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        var limits = LoginLimiter.Limits()
        limits.addressFailuresMax = 1
        let limiter = limiter(limits, log: Log(service: "auth", level: .info, descriptor: descriptor))
        let addresses = ["192.0.2.1", "192.0.2.2"]
        for failures in 0..<9 {
            clock.advance(failures == 0 ? 0 : 1000 << Int64(failures - 1))
            for address in addresses { limiter.failed(try await limiter.begin("a", address)) }
        }
        // At 0, 59.999 and 60 s of a wait of 256 s: the first and the last write a line.
        for step: Int64 in [59_999, 1, 0] {
            for address in addresses + addresses + addresses {
                await #expect(throws: AuthError.self) { try await limiter.begin("a", address) }
            }
            clock.advance(step)
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count { $0.contains(#""event":"login_limited","network":"192.0.2.1""#) } == 2)
        #expect(lines.count { $0.contains(#""event":"login_limited","network":"192.0.2.2""#) } == 2)
        #expect(lines.count == 4)
    }
}

extension LoginLimiter {
    /// An attempt whose request has no id.
    fileprivate func begin(_ username: String, _ address: String) async throws -> Attempt {
        try await begin(username: username, address: address, requestID: "-")
    }
}
