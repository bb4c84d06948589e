import Core
import Synchronization

/// Sessions that auth is being asked about for a socket, so that a revocation that comes meanwhile is not
/// lost (DESIGN R12).
///
/// And the successors of sessions refreshed lately: an old id is good for some seconds more, and a socket opened with
/// it belongs to the new one, with which it has to end.
final class PendingSessions: Sendable {
    /// How long successors are remembered: longer than auth lets an old id live.
    static let memoryMilliseconds: Int64 = 60_000
    /// The most successors remembered; beyond it the oldest are forgotten.
    private static let successorsMax = 100_000

    /// What came meanwhile.
    enum Verdict: Equatable {
        case alive
        case revoked
        /// Refreshed: sockets go over to the new session.
        case replaced(by: String)
    }

    private struct Entry {
        var count = 0
        var verdict = Verdict.alive
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var successors: [String: String] = [:]
        /// The keys of `successors`, oldest first.
        var refreshed: ArraySlice<(hash: String, at: Int64)> = []
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> Int64

    /// - Parameter now: A monotonic clock, in milliseconds.
    init(now: @escaping @Sendable () -> Int64 = { Monotonic.milliseconds() }) { self.now = now }

    /// Auth is to be asked; bounded by the gateway's connections, each of which asks about one at a time.
    func begin(_ hash: String) {
        state.withLock { $0.entries[hash, default: Entry()].count += 1 }
    }

    /// A session has ended or was refreshed.
    func revoke(_ hash: String, replacedBy: String?) {
        state.withLock { state in
            let verdict = replacedBy.map(Verdict.replaced) ?? .revoked
            state.entries[hash]?.verdict = verdict
            // Refreshed a moment ago, and now its successor has ended or was refreshed too.
            for (pending, entry) in state.entries where entry.verdict == .replaced(by: hash) {
                state.entries[pending]?.verdict = verdict
            }
            guard let replacedBy else { return }
            forgetOld(&state)
            if state.successors.updateValue(replacedBy, forKey: hash) == nil {
                state.refreshed.append((hash, now()))
            }
        }
    }

    private func forgetOld(_ state: inout State) {
        let end = now() - Self.memoryMilliseconds
        while let oldest = state.refreshed.first,
            oldest.at < end || state.refreshed.count >= Self.successorsMax
        {
            state.refreshed.removeFirst()
            state.successors[oldest.hash] = nil
        }
    }

    /// The socket goes over to the session, or does not: once for each `begin`.
    func end(_ hash: String) -> Verdict {
        state.withLock { state in
            guard var entry = state.entries[hash] else { return .alive }
            entry.count -= 1
            state.entries[hash] = entry.count > 0 ? entry : nil
            if entry.verdict == .alive, let successor = state.successors[hash] {
                return .replaced(by: Self.last(successor, state))
            }
            return entry.verdict
        }
    }

    /// Follows further refreshes; ids are never reused, so there is no circle.
    private static func last(_ hash: String, _ state: borrowing State) -> String {
        var hash = hash
        while let next = state.successors[hash] { hash = next }
        return hash
    }
}

extension PendingSessions.Verdict {
    /// The session that a socket belongs to now, of which auth said that it is alive.
    func hash(of verified: String) -> String {
        if case .replaced(let successor) = self { successor } else { verified }
    }
}
