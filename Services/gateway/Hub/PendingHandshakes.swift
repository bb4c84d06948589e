import Synchronization

/// Sessions of handshakes under way, so that a revocation that comes while auth is being asked is not
/// lost (DESIGN R12).
final class PendingHandshakes: Sendable {
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

    private let entries = Mutex<[String: Entry]>([:])

    /// A handshake begins; bounded by the gateway's connection limit, which it has passed.
    func begin(_ hash: String) {
        entries.withLock { $0[hash, default: Entry()].count += 1 }
    }

    /// A session has ended or was refreshed.
    func revoke(_ hash: String, replacedBy: String?) {
        entries.withLock { entries in
            let verdict = replacedBy.map(Verdict.replaced) ?? .revoked
            entries[hash]?.verdict = verdict
            // Refreshed a moment ago, and now its successor has ended or was refreshed too.
            for (pending, entry) in entries where entry.verdict == .replaced(by: hash) {
                entries[pending]?.verdict = verdict
            }
        }
    }

    /// The handshake has ended, well or not.
    func end(_ hash: String) -> Verdict {
        entries.withLock { entries in
            guard var entry = entries[hash] else { return .alive }
            entry.count -= 1
            entries[hash] = entry.count > 0 ? entry : nil
            return entry.verdict
        }
    }
}

extension PendingHandshakes.Verdict {
    /// The session that the connection belongs to now.
    func hash(of handshake: VerifiedHandshake) -> String {
        if case .replaced(let successor) = self { successor } else { handshake.sessionHash }
    }
}
