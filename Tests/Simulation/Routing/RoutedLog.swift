import Contracts
import Core

/// A customer's conversation as a gateway's log keeps it: its entries' effect is the gateway's own `ConversationState`,
/// and what is due at presence waits in an outbox.
struct RoutedLog {
    struct Route {
        let number: Int
        let need: RoutingNeed
    }

    let customerID: String
    let conversationID: String
    private(set) var state: ConversationState
    private(set) var head = 0
    private(set) var route: Route?
    private(set) var faults: [String] = []
    private var routes = 0
    private var decisions: [String: Int] = [:]
    private var lastNumber = 0

    init(customerID: String) {
        self.customerID = customerID
        conversationID = ConversationName.ofCustomer(customerID)
        state = ConversationState(conversationID: conversationID)
    }

    /// Whether nobody has it who ought to, with every agent there and everything answered.
    var isStranded: Bool { state.agent == nil && state.routing != .closed || route != nil }

    /// A message.
    ///
    /// - Returns: The report of a first response, when it is one.
    mutating func write(by user: String, _ type: UserType, naming addressee: String? = nil) -> FirstResponse? {
        let change = append(.chat, by: user, type, addressee)
        guard let agentID = change.answeredBy else { return nil }
        return FirstResponse(conversationID: conversationID, agentID: agentID, seq: head)
    }

    private mutating func append(
        _ kind: EntryKind,
        by sender: String,
        _ type: UserType?,
        _ addressee: String? = nil
    ) -> ConversationState.Change {
        head += 1
        let append = Append(
            conversationID: conversationID,
            sender: sender,
            senderType: type,
            addressee: addressee,
            clientID: nil,
            kind: kind,
            text: 0..<0,
            acknowledged: 0..<0,
            file: nil,
            origin: nil
        )
        let change = state.take(append, at: head)
        if change.isNeedDropped { route = nil }
        if let need = change.need {
            routes += 1
            route = Route(number: routes, need: need)
        }
        return change
    }

    /// Presence has answered the need of this number.
    mutating func settle(_ number: Int) {
        guard route?.number == number else { return }
        route = nil
        state.settleNeed()
    }

    /// Appends the decision's entry, once.
    ///
    /// - Returns: The entry's sequence; `nil` for a decision that is no entry.
    mutating func append(_ decision: RoutingDecision) -> Int? {
        if let sequence = decisions[decision.decisionID] { return sequence }
        guard let entry = RoutingEntry(decision) else { return nil }
        if decision.number <= lastNumber { faults.append("\(customerID): \(decision.number) after \(lastNumber)") }
        if decision.formerAgentID != state.agent {
            let names = (decision.formerAgentID ?? "nobody", state.agent ?? "nobody")
            faults.append("\(customerID): decision \(decision.number) takes it from \(names.0), and \(names.1) has it")
        }
        lastNumber = decision.number
        _ = append(entry.kind, by: EntryKind.system, nil)
        decisions[decision.decisionID] = head
        return head
    }
}
