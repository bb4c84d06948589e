import Contracts
import Core

@testable import PresenceService

/// A customer's conversation as the gateways' log has it, as far as routing is concerned: who has it by its entries,
/// and the message that still has to be brought to presence (the outbox's `route`).
struct LogModel {
    struct Route {
        let number: Int
        let request: AssignmentRequest
    }

    let customerID: String
    private(set) var head = 0
    private(set) var agentID: String?
    private(set) var route: Route?
    /// Whether presence's queue or an agent has it.
    private var isRouted = false
    private var lastCustomerChat = 0
    private var hasAnswered = false
    private var routes = 0
    private var entries: [String: Int] = [:]
    private var lastNumber = 0
    private(set) var faults: [String] = []

    init(customerID: String) { self.customerID = customerID }

    var conversationID: String { "c:\(customerID)" }

    /// Whether, with every agent there and everything answered, nobody has it who ought to: a customer's message waits,
    /// or the log takes it for presence's business and so asks for nothing any more.
    var isStranded: Bool { agentID == nil && (isRouted || route != nil || lastCustomerChat > closedSeq) }
    private var closedSeq = 0

    mutating func writeAsCustomer(naming named: String?) {
        head += 1
        lastCustomerChat = head
        if agentID == nil, !isRouted, route == nil { need(by: customerID, .customer, naming: named) }
    }

    /// - Returns: The report of a first response, when it is one.
    mutating func write(by agent: String) -> FirstResponse? {
        head += 1
        guard let agentID else {
            if route?.request.requesterType != .agent { need(by: agent, .agent) }
            return nil
        }
        guard agentID == agent, !hasAnswered else { return nil }
        hasAnswered = true
        return FirstResponse(conversationID: conversationID, agentID: agent, seq: head)
    }

    /// Presence has answered the need of this number.
    mutating func settle(_ number: Int) {
        guard route?.number == number else { return }
        route = nil
        isRouted = true
    }

    /// Appends the decision's entry, once.
    ///
    /// - Returns: The entry's sequence.
    mutating func append(_ decision: RoutingDecision) -> Int {
        if let seq = entries[decision.decisionID] { return seq }
        head += 1
        entries[decision.decisionID] = head
        if decision.number <= lastNumber { faults.append("\(customerID): \(decision.number) after \(lastNumber)") }
        if decision.formerAgentID != agentID {
            let (is_, was) = (decision.formerAgentID ?? "nobody", agentID ?? "nobody")
            faults.append("\(customerID): decision \(decision.number) takes it from \(is_), and \(was) has it")
        }
        lastNumber = decision.number
        route = nil
        agentID = decision.agentID
        hasAnswered = false
        isRouted = decision.kind != .closed
        guard decision.kind == .closed else { return head }
        closedSeq = head
        if lastCustomerChat > decision.seq ?? 0 {
            // It came between the request and the entry: asked for in the entry's own name.
            need(by: customerID, .customer)
            lastCustomerChat = head
        }
        return head
    }

    private mutating func need(by user: String, _ type: UserType, naming named: String? = nil) {
        routes += 1
        let request = AssignmentRequest(
            conversationID: conversationID,
            customerID: customerID,
            seq: head,
            agentID: named,
            requestedBy: user,
            requesterType: type
        )
        route = Route(number: routes, request: request)
    }
}
