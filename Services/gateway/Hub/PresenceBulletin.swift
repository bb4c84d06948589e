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

    private struct Gathered {
        var change: PresenceChange
        /// Whether the batch before left the user shown as not there.
        let wasAbsent: Bool
    }

    private var changes: [String: Gathered] = [:]
    /// Users in the order of their first change; one whose changes came to nothing is still here.
    private var order: ArraySlice<String> = []

    /// Adds a change.
    mutating func add(_ change: PresenceChange) {
        guard let earlier = changes[change.userID] else {
            order.append(change.userID)
            changes[change.userID] = Gathered(change: change, wasAbsent: change.kind == .joined)
            return
        }
        // Who has come and gone meanwhile was never there for anybody.
        if change.kind == .left, earlier.wasAbsent { return changes[change.userID] = nil }
        var merged = change
        // Who has come and then changed their status has come, with that status.
        if change.kind == .status, earlier.change.kind == .joined { merged.kind = .joined }
        changes[change.userID] = Gathered(change: merged, wasAbsent: earlier.wasAbsent)
    }

    /// The next batch, in the order in which users first changed.
    mutating func take() -> [PresenceNewsFrame] {
        let batch = order.prefix(Self.batchMax)
        order = order.dropFirst(Self.batchMax)
        return batch.compactMap { userID in
            guard let change = changes.removeValue(forKey: userID)?.change else { return nil }
            let isOfAgent = change.userType == .agent
            return PresenceNewsFrame(userID: userID, isOfAgent: isOfAgent, text: ServerFrame.presence(change))
        }
    }
}
