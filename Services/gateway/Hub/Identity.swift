import Core

/// Whom a session belongs to.
struct Identity: Sendable, Equatable {
    let userID: String
    let userName: String
    let userType: UserType
}

/// Names of conversations (DESIGN §4).
enum ConversationName {
    /// `c:<customer>`: a customer and whichever agents serve them.
    static func ofCustomer(_ customerID: String) -> String { "c:" + customerID }

    /// `d:<a>:<b>`, sorted: two agents.
    static func ofAgents(_ a: String, _ b: String) -> String { a < b ? "d:\(a):\(b)" : "d:\(b):\(a)" }

    /// Whether a user may read it: a customer their own, an agent any customer's and their own with other agents.
    static func isReadable(_ name: String, by identity: Identity) -> Bool {
        // User ids have no colon, so the parts are exact; and a name of user ids needs no escaping anywhere.
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.dropFirst().allSatisfy({ Identifier.isUserID($0) }) else { return false }
        switch (parts[0], parts.count) {
        case ("c", 2): return identity.userType == .agent || parts[1] == identity.userID
        case ("d", 3):
            return identity.userType == .agent && parts[1] < parts[2] && parts[1...].contains { $0 == identity.userID }
        default: return false
        }
    }
}
