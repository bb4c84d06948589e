import Core
import Crypto
import ServiceKit
import Synchronization

/// Sessions for visitors without an account: each gets a customer's account of its own, deleted when of no more use.
final class GuestLogin: Sendable {
    /// Whether there are guests, and how many.
    struct Limits: Sendable {
        var isEnabled = true
        /// Guests from one address in a minute.
        var perMinuteMax = 30
        /// Guests' accounts there may be; one more is 503.
        var countMax = 1_000_000
        /// How long the account stays after its session's end, for agents to still write to it, in milliseconds.
        var retentionMilliseconds: Int64 = 604_800_000
        /// Addresses whose rate is held.
        var addressesMax = 10_000
    }

    /// The name of a guest who gives none.
    static let nameDefault = "Guest"
    /// Bytes of randomness in a guest's id: 16 characters.
    private static let idBytes = 12
    /// Accounts deleted in one step.
    private static let deletedMax = 500

    private let sessions: SessionService
    private let limits: Limits
    private let state: Mutex<State>

    private struct State {
        var rates: RateTable
        /// Guests' accounts there are; others than this service make none.
        var count: Int
    }

    private init(_ sessions: SessionService, _ limits: Limits, count: Int) {
        self.sessions = sessions
        self.limits = limits
        let rates = RateTable(
            eventsMax: limits.perMinuteMax,
            windowMilliseconds: 60_000,
            keysMax: limits.addressesMax
        )
        state = Mutex(State(rates: rates, count: count))
    }

    static func start(_ sessions: SessionService, _ limits: Limits) async throws -> GuestLogin {
        GuestLogin(sessions, limits, count: try await sessions.store.guestCount())
    }

    /// Guests' accounts there are.
    var count: Int { state.withLock { $0.count } }

    /// A new guest and its session.
    ///
    /// - Parameters:
    ///   - userName: A display name, checked and normalised; `nil` for the usual one.
    ///   - origin: Where it comes from.
    ///   - requestID: The request's id.
    /// - Throws: `AuthError.guestsDisabled`, `.tooManyAttempts`, `.tooManyGuests`; what the store throws.
    func logIn(userName: String?, from origin: SessionOrigin, requestID: String) async throws -> IssuedSession {
        guard limits.isEnabled else { throw AuthError.guestsDisabled }
        try admit(origin.remoteAddress)
        let now = sessions.clock.now()
        let lifetime = sessions.limits.guests.lifetimeMilliseconds
        let account = Account(
            userID: Account.guestPrefix + SecureRandom.token(bytes: Self.idBytes),
            userName: userName ?? Self.nameDefault,
            userType: .customer,
            createdAt: now,
            expiresAt: now.advanced(byMilliseconds: lifetime + limits.retentionMilliseconds)
        )
        let actor = Actor(userID: account.userID, remoteAddress: origin.remoteAddress, requestID: requestID)
        let id = SessionID.make()
        let entry = AuditEntry(.guestLogin, by: actor, at: now)
        let beginning = sessions.beginning(id, account, from: origin, audit: entry)
        do {
            try await sessions.store.createGuest(account, beginning)
        } catch {
            state.withLock { $0.count -= 1 }
            throw error
        }
        return try await sessions.issued(id, beginning, account)
    }

    private func admit(_ address: String) throws(AuthError) {
        let now = sessions.clock.monotonicMilliseconds()
        let key = ClientNetwork.key(of: address)
        let refusal: AuthError? = state.withLock { state in
            if let wait = state.rates.wait(key, now: now) { return .tooManyAttempts(retryAfterMilliseconds: wait) }
            guard state.count < limits.countMax else { return .tooManyGuests }
            state.rates.count(key, now: now)
            state.count += 1
            return nil
        }
        if let refusal { throw refusal }
    }

    /// Counts the accounts there are, since administrators delete some as well.
    func recount() async throws {
        let count = try await sessions.store.guestCount()
        state.withLock { $0.count = count }
    }

    /// Deletes the accounts whose time is over.
    func deleteExpired() async throws {
        while true {
            let deleted = try await sessions.store.deleteExpiredGuests(
                now: sessions.clock.now(),
                countMax: Self.deletedMax
            )
            guard deleted > 0 else { return }
            state.withLock { $0.count = max(0, $0.count - deleted) }
            try await sessions.publishChanges()
        }
    }
}
