import Contracts
import Synchronization

/// A customer's place in the queue.
struct QueuePlace: Sendable, Equatable {
    let customerID: String
    let conversationID: String
    /// From 1 on.
    let position: Int
    /// The queue's, when they had that place.
    let version: Int
    /// Why they wait: a routing decision's reason.
    let reason: String
    /// Whether any agent is connected: without, the customer is told so instead.
    let isAgentPresent: Bool

    /// Whether a client would be told the same of both.
    func says(sameAs other: QueuePlace) -> Bool {
        (position, reason, isAgentPresent) == (other.position, other.reason, other.isAgentPresent)
    }
}

/// Where customers stand in the queue, as presence has said last: by an answer about one, or by the whole queue.
///
/// The two come on different ways and overtake each other, so of two places the one of the newer queue holds. Bounded
/// by presence's queue.
final class QueueBoard: Sendable {
    private struct State {
        var places: [String: QueuePlace] = [:]
        /// Of the newest whole queue.
        var version = 0
    }

    private let state = Mutex(State())

    /// A customer's place; `nil` when they do not wait.
    func place(of customerID: String) -> QueuePlace? { state.withLock { $0.places[customerID] } }

    /// The queue as it stands.
    ///
    /// - Returns: The places that it is the newest word on.
    func replace(_ queue: WaitingQueue) -> [QueuePlace] {
        let waiting = queue.waiting.enumerated().map { index, waiter in
            QueuePlace(
                customerID: waiter.customerID,
                conversationID: waiter.conversationID,
                position: index + 1,
                version: queue.version,
                reason: waiter.reason,
                isAgentPresent: queue.agentsPresent
            )
        }
        return state.withLock { state in
            state.version = max(state.version, queue.version)
            let newer = state.places.filter { $0.value.version > queue.version }
            let fresh = waiting.filter { newer[$0.customerID] == nil }
            state.places = newer.merging(fresh.map { ($0.customerID, $0) }) { first, _ in first }
            return fresh
        }
    }

    /// What presence has answered about one customer.
    ///
    /// - Returns: Whether it is news: a newer queue has said where they stand, or that they do not wait any more.
    func note(_ place: QueuePlace) -> Bool {
        state.withLock { state in
            if let known = state.places[place.customerID] {
                guard place.version > known.version else { return false }
            } else {
                // Of who waits further back than the queue is told, it says nothing.
                guard place.version > state.version || place.position > WaitingQueue.waitingMax else { return false }
            }
            state.places[place.customerID] = place
            return true
        }
    }

    /// A customer does not wait any more, whatever queue was told before.
    func forget(_ customerID: String) { state.withLock { $0.places[customerID] = nil } }
}
