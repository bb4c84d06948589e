import Core
import HTTP
import ServiceKit
import Synchronization

/// One of several instances of presence on one database: the leader, or one that hands every request on to the leader
/// and takes over when it is gone.
final class Instance: Sendable {
    /// What a request finds here.
    private enum Role {
        /// Nobody is known to lead, or this instance is about to.
        case none
        case follower(Forwarder)
        case leader(Leader, LeaderLease)
    }

    /// The work of a term.
    private struct Term {
        let number: Int64
        let lease: LeaderLease
        let work: Task<Void, Never>
    }

    private let store: any LeadershipStore
    private let url: BaseURL
    private let limits: Leadership.Limits
    private let log: Log
    private let now: @Sendable () -> Milliseconds
    private let firstRegistration: @Sendable () -> Int
    private let makeForwarder: @Sendable (BaseURL) -> Forwarder
    private let makeLeader: @Sendable (LeadershipTerm, LeaderLease) async throws -> Leader
    private let role = Mutex(Role.none)

    /// - Parameters:
    ///   - url: Where the other instances reach this one.
    ///   - firstRegistration: The least that a new term's registration numbers may begin with.
    ///   - makeForwarder: To an instance that leads.
    ///   - makeLeader: Begins a term with what the database has.
    init(
        store: any LeadershipStore,
        url: BaseURL,
        limits: Leadership.Limits = Leadership.Limits(),
        log: Log,
        now: @escaping @Sendable () -> Milliseconds,
        firstRegistration: @escaping @Sendable () -> Int,
        makeForwarder: @escaping @Sendable (BaseURL) -> Forwarder,
        makeLeader: @escaping @Sendable (LeadershipTerm, LeaderLease) async throws -> Leader
    ) {
        self.store = store
        self.url = url
        self.limits = limits
        self.log = log
        self.now = now
        self.firstRegistration = firstRegistration
        self.makeForwarder = makeForwarder
        self.makeLeader = makeLeader
    }

    // MARK: - Requests

    /// Answers as the leader, or has the leader answer.
    ///
    /// - Throws: `PresenceError.notLeading`; also when leadership was lost meanwhile, and then it may have been done.
    func respond(to request: Request) async throws -> Response {
        switch role.withLock({ $0 }) {
        case .leader(let leader, let lease):
            guard lease.isHeld else { throw PresenceError.notLeading }
            let response = try await leader.router.dispatch(request).response()
            guard lease.isHeld else { throw PresenceError.notLeading }
            return response
        case .follower(let forwarder):
            guard request.headers[Forwarder.header] == nil else { throw PresenceError.notLeading }
            return try await forwarder.forward(request)
        case .none:
            throw PresenceError.notLeading
        }
    }

    /// Succeeds when there is somebody who answers: this instance, or one that it knows.
    func checkLeader() throws {
        switch role.withLock({ $0 }) {
        case .leader(_, let lease) where lease.isHeld: break
        case .follower: break
        case .leader, .none: throw PresenceError.notLeading
        }
    }

    /// Calls `body` with the keeper of agents' capacities, while this instance leads.
    func withKeeper(_ body: (CapacityKeeper) -> Void) {
        if case .leader(let leader, _) = role.withLock({ $0 }) { body(leader.keeper) }
    }

    // MARK: - Leadership

    /// Follows or leads until cancelled; then gives leadership up, so that another instance leads at once.
    func run() async {
        var leadership = Leadership(limits: limits, now: now())
        var term: Term?
        while !Task.isCancelled {
            switch leadership.next(now: now()) {
            case .wait(let until):
                // Cancellation ends the sleep, and then the loop.
                try? await Task.sleep(for: .milliseconds(until - now()))
            case .look: await look(&leadership)
            case .claim(let record): term = await claim(after: record, &leadership)
            case .renew: await renew(&leadership, term)
            }
            if leadership.role == .follower {
                if let ended = term {
                    await end(ended)
                    term = nil
                }
                await follow(leadership.leaderURL.flatMap(BaseURL.init(parsing:)))
            }
        }
        // In a task of its own: what is done last must not find itself cancelled.
        let last = term
        await Task { await retire(last) }.value
    }

    private func look(_ leadership: inout Leadership) async {
        do {
            leadership.saw(try await store.record(), now: now())
        } catch {
            log.debug("leadership_not_read", ["error": .string("\(error)")])
            leadership.lookFailed(now: now())
        }
    }

    private func claim(after record: LeadershipRecord?, _ leadership: inout Leadership) async -> Term? {
        let sentAt = now()
        let claimed: LeadershipTerm?
        do {
            claimed = try await store.claim(
                after: record,
                url: url.description,
                firstRegistration: firstRegistration()
            )
        } catch {
            log.warning("leadership_not_claimed", ["error": .string("\(error)")])
            claimed = nil
        }
        guard let claimed else {
            leadership.claimFailed(now: now())
            return nil
        }
        leadership.claimed(term: claimed.number, sentAt: sentAt)
        log.info("leading", ["term": .int(Int(claimed.number)), "former": .string(record?.url ?? "")])
        return begin(claimed, heldUntil: leadership.heldUntil ?? sentAt)
    }

    private func renew(_ leadership: inout Leadership, _ term: Term?) async {
        guard let term else {
            leadership.deposed(now: now())
            return
        }
        let sentAt = now()
        do {
            guard try await store.renew(term.number) else {
                log.warning("deposed", ["term": .int(Int(term.number))])
                leadership.deposed(now: now())
                return
            }
            leadership.renewed(sentAt: sentAt)
            if let end = leadership.heldUntil { term.lease.renew(until: end) }
        } catch {
            log.warning("leadership_not_renewed", ["error": .string("\(error)")])
            leadership.renewalFailed(now: now())
        }
    }

    // MARK: - A term

    private func begin(_ claimed: LeadershipTerm, heldUntil: Milliseconds) -> Term {
        let lease = LeaderLease(term: claimed.number, heldUntil: heldUntil, now: now)
        // Beside the beats, which go on while it loads.
        let work = Task {
            guard let leader = await load(claimed, lease) else { return }
            await become(.leader(leader, lease))
            await leader.run()
        }
        return Term(number: claimed.number, lease: lease, work: work)
    }

    /// - Returns: `nil` when the term is over before it has begun.
    private func load(_ claimed: LeadershipTerm, _ lease: LeaderLease) async -> Leader? {
        while !Task.isCancelled, !lease.isOver {
            do {
                return try await makeLeader(claimed, lease)
            } catch {
                log.warning("state_not_loaded", ["error": .string("\(error)")])
                try? await Task.sleep(for: .milliseconds(limits.lookInterval))
            }
        }
        return nil
    }

    /// Ends a term's work; whoever waits for an answer gets one.
    private func end(_ term: Term) async {
        term.lease.end()
        await stop(term)
        log.info("following", ["former_term": .int(Int(term.number))])
    }

    private func stop(_ term: Term) async {
        term.work.cancel()
        if case .leader(let leader, _) = role.withLock({ $0 }) {
            leader.answerPolls()
            await leader.finish()
        }
        await term.work.value
        await become(.none)
    }

    private func retire(_ term: Term?) async {
        guard let term else {
            await become(.none)
            return
        }
        await stop(term)
        term.lease.end()
        do {
            try await store.resign(term.number)
            log.info("resigned", ["term": .int(Int(term.number))])
        } catch {
            log.warning("not_resigned", ["term": .int(Int(term.number)), "error": .string("\(error)")])
        }
    }

    // MARK: - Another leader

    private func follow(_ leader: BaseURL?) async {
        // This instance's own address is that of one before it.
        guard let leader, leader != url else {
            await become(.none)
            return
        }
        if case .follower(let forwarder) = role.withLock({ $0 }), forwarder.url == leader { return }
        await become(.follower(makeForwarder(leader)))
        log.info("following", ["leader": .string(leader.description)])
    }

    private func become(_ new: Role) async {
        let former = role.withLock { role in
            defer { role = new }
            return role
        }
        if case .follower(let forwarder) = former { await forwarder.close() }
    }
}
