import Contracts
import Synchronization

/// A customer's place in the queue.
struct QueuePlace: Sendable, Equatable {
    let customerID: String
    let conversationID: String
    /// From 1 on.
    let position: Int
    /// Why they wait: a routing decision's reason.
    let reason: String
    /// Whether any agent is connected: without, the customer is told so instead.
    let isAgentPresent: Bool
}

/// The queue as presence has told it last, for customers who connect while they wait.
///
/// Bounded by presence's queue.
final class QueueBoard: Sendable {
    private let places = Mutex<[String: QueuePlace]>([:])

    /// A customer's place; `nil` when they do not wait.
    func place(of customerID: String) -> QueuePlace? { places.withLock { $0[customerID] } }

    /// The queue as it stands.
    ///
    /// - Returns: Everyone's place.
    func replace(_ queue: WaitingQueue) -> [QueuePlace] {
        let fresh = queue.waiting.enumerated().map { index, waiter in
            QueuePlace(
                customerID: waiter.customerID,
                conversationID: waiter.conversationID,
                position: index + 1,
                reason: waiter.reason,
                isAgentPresent: queue.agentsPresent
            )
        }
        let byCustomer = Dictionary(fresh.map { ($0.customerID, $0) }) { first, _ in first }
        places.withLock { $0 = byCustomer }
        return fresh
    }

    /// What presence has answered about one customer.
    ///
    /// - Returns: Whether it is news: a place that the queue has told already may be newer than a late answer.
    func note(_ place: QueuePlace) -> Bool {
        places.withLock { places in
            guard places[place.customerID] == nil else { return false }
            places[place.customerID] = place
            return true
        }
    }

    /// A customer does not wait any more, whatever queue was told before.
    func forget(_ customerID: String) { places.withLock { $0[customerID] = nil } }
}
