import Core
import Crypto
import ServiceKit
import Synchronization

/// Limits of login attempts: failures by account and network, by network, and by account wherever they come from;
/// attempts under way and logins that succeed by network.
///
/// A network is what `ClientNetwork` makes of an address. An attempt counts as failed from its begin until its outcome
/// is known, so that many at once cannot pass a limit together. The limit by account alone does not hold where the
/// user is logged in: else anybody could lock anybody out.
final class LoginLimiter: Sendable {
    /// How many are allowed.
    struct Limits: Sendable {
        /// Failures of one account from one network in a window, before attempts must wait.
        var accountFailuresMax = 10
        /// Failures from one network in a window, before attempts must wait.
        var addressFailuresMax = 100
        /// Failures of one account from anywhere in a window, before attempts must wait.
        var accountFailuresEverywhereMax = 1000
        /// The failures' window, in milliseconds.
        var windowMilliseconds: Int64 = 900_000
        /// Attempts of one network under way at once; one more is refused as by a full password pool.
        var attemptsAtOnceMax = 32
        /// Logins from one network in a minute.
        var successesPerMinuteMax = 3000
        /// Keys held of each kind.
        ///
        /// What limits all their failures together is the pool's speed: some 60,000 hashes in 15 minutes.
        var keysMax = 10_000
    }

    /// An attempt under way, to be ended with `succeeded`, `failed` or `abandoned`.
    struct Attempt: Sendable {
        /// `nil`: no account's password is tried, and only the network counts.
        fileprivate let username: String?
        fileprivate let network: String
        fileprivate let beganAt: Int64

        /// A user's id has no newline; whoever types one has a key that is nobody's.
        fileprivate var account: String? { username.map { $0 + "\n" + network } }
    }

    /// Whether the user of that id has a live session whose login came from that network.
    typealias KnowsAddress = @Sendable (_ userID: String, _ network: String) async throws -> Bool

    private struct Tables {
        var accounts: FailureTable
        var networks: FailureTable
        var accountsEverywhere: FailureTable
        var successes: RateTable
        /// Log lines about refusals, a minute apart.
        var lines: RateTable
        /// Attempts under way by network; no more keys than requests.
        var underWay: [String: Int] = [:]

        init(_ limits: Limits) {
            func failures(_ max: Int) -> FailureTable {
                FailureTable(
                    failuresMax: max,
                    windowMilliseconds: limits.windowMilliseconds,
                    keysMax: limits.keysMax
                )
            }
            func perMinute(_ max: Int) -> RateTable {
                RateTable(eventsMax: max, windowMilliseconds: 60_000, keysMax: limits.keysMax)
            }
            accounts = failures(limits.accountFailuresMax)
            networks = failures(limits.addressFailuresMax)
            accountsEverywhere = failures(limits.accountFailuresEverywhereMax)
            successes = perMinute(limits.successesPerMinuteMax)
            lines = perMinute(1)
        }

        /// Takes an attempt back where all of a network's, or of an account's, count.
        mutating func giveBack(_ attempt: Attempt) {
            networks.giveBack(attempt.network, countedAt: attempt.beganAt)
            guard let username = attempt.username else { return }
            accountsEverywhere.giveBack(username, countedAt: attempt.beganAt)
        }

        mutating func end(_ attempt: Attempt) {
            guard let count = underWay[attempt.network] else { return }
            underWay[attempt.network] = count > 1 ? count - 1 : nil
        }
    }

    private enum Admission {
        case admitted(Attempt)
        /// The account's failures everywhere are what makes it wait the longest.
        case limitedEverywhere(milliseconds: Int64)
        case limited(milliseconds: Int64)
        case busy
    }

    private let tables: Mutex<Tables>
    private let attemptsAtOnceMax: Int
    private let clock: @Sendable () -> Int64
    private let log: Log
    private let knowsAddress: KnowsAddress

    /// - Parameters:
    ///   - limits: How many are allowed.
    ///   - clock: Milliseconds that never go back.
    ///   - log: Gets `login_limited`, at most once a minute for each network.
    ///   - knowsAddress: Asked only when the account's limit everywhere would refuse an attempt.
    init(
        _ limits: Limits,
        clock: @escaping @Sendable () -> Int64,
        log: Log,
        knowsAddress: @escaping KnowsAddress = { _, _ in false }
    ) {
        self.clock = clock
        self.log = log
        self.knowsAddress = knowsAddress
        attemptsAtOnceMax = limits.attemptsAtOnceMax
        tables = Mutex(Tables(limits))
    }

    /// Lets an attempt begin, counted as a failure for now.
    ///
    /// Without a username (a token, whose account is not known before it is read) only the network's limits count.
    ///
    /// - Throws: `AuthError.tooManyAttempts`, without looking at the password; `PasswordHasherError.busy`, which counts
    ///   for nothing; what `knowsAddress` throws.
    func begin(username: String?, address: String, requestID: String) async throws -> Attempt {
        let network = ClientNetwork.key(of: address)
        var admission = admit(username, network, isKnown: false)
        if case .limitedEverywhere = admission, let username, try await knowsAddress(username, network) {
            admission = admit(username, network, isKnown: true)
        }
        switch admission {
        case .admitted(let attempt): return attempt
        case .busy: throw PasswordHasherError.busy
        case .limited(let milliseconds), .limitedEverywhere(let milliseconds):
            logRefusal(network, address, requestID, milliseconds)
            throw AuthError.tooManyAttempts(retryAfterMilliseconds: milliseconds)
        }
    }

    private func admit(_ username: String?, _ network: String, isKnown: Bool) -> Admission {
        let now = clock()
        let attempt = Attempt(username: username, network: network, beganAt: now)
        return tables.withLock { tables in
            let waits = [
                attempt.account.flatMap { tables.accounts.wait($0, now: now) },
                tables.networks.wait(network, now: now),
                tables.successes.wait(network, now: now),
            ]
            let wait = waits.compactMap { $0 }.max() ?? 0
            let everywhere =
                isKnown ? 0 : username.flatMap { tables.accountsEverywhere.wait($0, now: now) } ?? 0
            if everywhere > wait { return .limitedEverywhere(milliseconds: everywhere) }
            if wait > 0 { return .limited(milliseconds: wait) }
            guard tables.underWay[network, default: 0] < attemptsAtOnceMax else { return .busy }
            tables.underWay[network, default: 0] += 1
            if let account = attempt.account { tables.accounts.count(account, now: now) }
            tables.networks.count(network, now: now)
            if let username { tables.accountsEverywhere.count(username, now: now) }
            return .admitted(attempt)
        }
    }

    private func logRefusal(_ network: String, _ address: String, _ requestID: String, _ milliseconds: Int64) {
        let now = clock()
        let isDue = tables.withLock { tables in
            guard tables.lines.wait(network, now: now) == nil else { return false }
            tables.lines.count(network, now: now)
            return true
        }
        guard isDue else { return }
        log.warning(
            "login_limited",
            [
                "network": .string(network), "remote_address": .string(address),
                "retry_after_ms": .int(Int(milliseconds)), "request_id": .string(requestID),
            ]
        )
    }

    /// The password was right: the account's failures from there are forgotten.
    func succeeded(_ attempt: Attempt) {
        let now = clock()
        tables.withLock { tables in
            tables.end(attempt)
            if let account = attempt.account { tables.accounts.reset(account) }
            tables.giveBack(attempt)
            tables.successes.count(attempt.network, now: now)
        }
    }

    /// Something was wrong: it stays counted.
    func failed(_ attempt: Attempt) { tables.withLock { $0.end(attempt) } }

    /// Nobody could tell whether it was right: it does not count.
    func abandoned(_ attempt: Attempt) {
        tables.withLock { tables in
            tables.end(attempt)
            if let account = attempt.account { tables.accounts.giveBack(account, countedAt: attempt.beganAt) }
            tables.giveBack(attempt)
        }
    }
}
