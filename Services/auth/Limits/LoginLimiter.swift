import Synchronization

/// Login attempts by account and address, and by address; logins that succeed have a rate of their own.
///
/// An attempt counts as failed from its begin until its outcome is known, so that many at once cannot pass the limit
/// together. No limit is by account alone: anybody could lock anybody out.
final class LoginLimiter: Sendable {
    /// How many are allowed.
    struct Limits: Sendable {
        /// Failures of one account from one address in each window.
        var accountFailuresMax = 10
        /// Failures from one address in each window.
        var addressFailuresMax = 100
        /// The failures' window, in milliseconds.
        var windowMilliseconds: Int64 = 900_000
        /// Logins from one address in a minute.
        var successesPerMinuteMax = 3000
        /// Keys held of each kind.
        var keysMax = 10_000
    }

    /// An attempt under way.
    struct Attempt: Sendable {
        fileprivate let account: String
        fileprivate let address: String
    }

    private struct Tables {
        var accounts: RateTable
        var addresses: RateTable
        var successes: RateTable
    }

    private let tables: Mutex<Tables>
    private let clock: @Sendable () -> Int64

    /// - Parameters:
    ///   - limits: How many are allowed.
    ///   - clock: Milliseconds that never go back.
    init(_ limits: Limits, clock: @escaping @Sendable () -> Int64) {
        self.clock = clock
        let window = limits.windowMilliseconds
        tables = Mutex(
            Tables(
                accounts: RateTable(
                    eventsMax: limits.accountFailuresMax,
                    windowMilliseconds: window,
                    keysMax: limits.keysMax
                ),
                addresses: RateTable(
                    eventsMax: limits.addressFailuresMax,
                    windowMilliseconds: window,
                    keysMax: limits.keysMax
                ),
                successes: RateTable(
                    eventsMax: limits.successesPerMinuteMax,
                    windowMilliseconds: 60_000,
                    keysMax: limits.keysMax
                )
            )
        )
    }

    /// Lets an attempt begin, counted as a failure for now.
    ///
    /// - Throws: `AuthError.tooManyAttempts`, without looking at the password.
    func begin(username: String, address: String) throws(AuthError) -> Attempt {
        let now = clock()
        let address = ClientNetwork.key(of: address)
        let attempt = Attempt(account: username + "\n" + address, address: address)
        let wait = tables.withLock { tables -> Int64? in
            let waits = [
                tables.accounts.wait(attempt.account, now: now),
                tables.addresses.wait(address, now: now),
                tables.successes.wait(address, now: now),
            ]
            if let wait = waits.compactMap({ $0 }).max() { return wait }
            tables.accounts.count(attempt.account, now: now)
            tables.addresses.count(address, now: now)
            return nil
        }
        if let wait { throw .tooManyAttempts(retryAfterMilliseconds: wait) }
        return attempt
    }

    /// The password was right: the account's failures from there are forgotten.
    func succeeded(_ attempt: Attempt) {
        let now = clock()
        tables.withLock { tables in
            tables.accounts.reset(attempt.account)
            tables.addresses.giveBack(attempt.address, now: now)
            tables.successes.count(attempt.address, now: now)
        }
    }

    /// Nobody could tell whether it was right: it does not count.
    func abandoned(_ attempt: Attempt) {
        let now = clock()
        tables.withLock { tables in
            tables.accounts.giveBack(attempt.account, now: now)
            tables.addresses.giveBack(attempt.address, now: now)
        }
    }
}
