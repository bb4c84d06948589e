import Synchronization

/// Whether this instance is the leader just now: asked by every request, renewed with every beat.
final class LeaderLease: Sendable {
    private struct State {
        var heldUntil: Milliseconds
        var timePassesFrom: Milliseconds
    }

    /// After a lapse no grace ends for so long: gateways were not answered, and tell again what they had to tell.
    static let pauseAfterLapse: Milliseconds = 2000

    let term: Int64
    private let state: Mutex<State>
    private let now: @Sendable () -> Milliseconds

    /// - Parameters:
    ///   - term: The leader's term.
    ///   - heldUntil: Until when it may answer, on the monotonic clock.
    ///   - now: That clock.
    init(term: Int64, heldUntil: Milliseconds, now: @escaping @Sendable () -> Milliseconds) {
        self.term = term
        self.now = now
        state = Mutex(State(heldUntil: heldUntil, timePassesFrom: 0))
    }

    /// Whether it may answer.
    var isHeld: Bool {
        let now = now()
        return state.withLock { now < $0.heldUntil }
    }

    /// Whether silences and graces may end: they are those of gateways that are answered.
    var letsTimePass: Bool {
        let now = now()
        return state.withLock { now < $0.heldUntil && now >= $0.timePassesFrom }
    }

    /// A beat is stored.
    func renew(until end: Milliseconds) {
        let now = now()
        state.withLock { state in
            guard state.heldUntil != .min else { return }
            if now >= state.heldUntil { state.timePassesFrom = now + Self.pauseAfterLapse }
            state.heldUntil = end
        }
    }

    /// Another instance leads, or will: for good.
    func end() { state.withLock { $0.heldUntil = .min } }

    /// Whether `end` was called.
    var isOver: Bool { state.withLock { $0.heldUntil == .min } }
}
