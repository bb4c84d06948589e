/// Who waits for an agent, in order: the whole queue as it stands, in a `PresenceChangePage` when it has changed since
/// the version that the asker has.
///
/// A state and not a list of events: one that was missed is made good by the next, and a gateway compares it with what
/// its customers were told last.
///
/// ```json
/// {"version":1768903200041,"agents_present":true,
///  "waiting":[{"conversation_id":"c:user123","customer_id":"user123","reason":"all_busy"}]}
/// ```
package struct WaitingQueue: Codable, Sendable, Equatable {
    /// Grows with every change, and from one start of presence to the next.
    package var version: Int
    /// Whether any agent is connected, available or not.
    package var agentsPresent: Bool
    /// First in line first: the place in the queue is the index and 1.
    ///
    /// At most `waitingMax`; who waits further back is told nothing until they come so far.
    package var waiting: [Waiter]

    /// The most that are told of, so that an answer with the queue in it is one that a gateway takes.
    package static let waitingMax = 10_000

    package init(version: Int, agentsPresent: Bool, waiting: [Waiter]) {
        self.version = version
        self.agentsPresent = agentsPresent
        self.waiting = waiting
    }

    private enum CodingKeys: String, CodingKey {
        case version
        case agentsPresent = "agents_present"
        case waiting
    }

    /// One waiting conversation.
    package struct Waiter: Codable, Sendable, Equatable {
        package var conversationID: String
        package var customerID: String
        /// Why it waits: a decision's reason.
        package var reason: String

        package init(conversationID: String, customerID: String, reason: String) {
            self.conversationID = conversationID
            self.customerID = customerID
            self.reason = reason
        }

        private enum CodingKeys: String, CodingKey {
            case conversationID = "conversation_id"
            case customerID = "customer_id"
            case reason
        }
    }
}
