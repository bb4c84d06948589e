/// Which agent serves each customer who is connected here: a customer hears of that agent's presence, and of nobody
/// else's.
struct ServingTable {
    private var agents: [String: String] = [:]
    private var customers: [String: Set<String>] = [:]

    /// The customers here whom an agent serves.
    func customers(of agentID: String) -> Set<String> { customers[agentID] ?? [] }

    func isServed(_ customerID: String) -> Bool { agents[customerID] != nil }

    /// A customer's conversation is assigned to this agent, or to nobody.
    mutating func set(_ agentID: String?, for customerID: String) {
        if let former = agents[customerID] {
            customers[former]?.remove(customerID)
            if customers[former]?.isEmpty == true { customers[former] = nil }
        }
        agents[customerID] = agentID
        if let agentID { customers[agentID, default: []].insert(customerID) }
    }
}
