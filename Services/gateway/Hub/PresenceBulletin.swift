import Contracts
import Core
import Synchronization

/// A presence change as clients are sent it.
struct PresenceNewsFrame: Sendable {
    let userID: String
    let isOfAgent: Bool
    let text: String
}

/// Gathers presence news between two batches: of each user only what is true in the end.
///
/// Bounded by the users that presence has; a batch by `batchMax`, and what is over goes with the next.
struct PresenceBulletin: Sendable {
    /// The most changes in one batch: they have to fit into what may wait for an agent.
    static let batchMax = 500

    private var changes: [String: PresenceChange] = [:]
    private var order: ArraySlice<String> = []

    /// Adds a change.
    mutating func add(_ change: PresenceChange) {
        guard let earlier = changes[change.userID] else {
            order.append(change.userID)
            changes[change.userID] = change
            return
        }
        var merged = change
        // Who has come and then changed their status has come, with that status.
        if change.kind == .status, earlier.kind == .joined { merged.kind = .joined }
        changes[change.userID] = merged
    }

    /// The next batch, in the order in which users first changed.
    mutating func take() -> [PresenceNewsFrame] {
        let batch = order.prefix(Self.batchMax)
        order = order.dropFirst(Self.batchMax)
        return batch.compactMap { userID in
            changes.removeValue(forKey: userID).map {
                PresenceNewsFrame(userID: userID, isOfAgent: $0.userType == .agent, text: ServerFrame.presence($0))
            }
        }
    }
}
