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
        if name.hasPrefix("c:") {
            return identity.userType == .agent || name.dropFirst(2) == identity.userID
        }
        guard name.hasPrefix("d:"), identity.userType == .agent else { return false }
        // User ids have no colon, so the two parts are exact.
        return name.dropFirst(2).split(separator: ":").contains { $0 == identity.userID }
    }
}
