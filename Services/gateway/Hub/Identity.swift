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

    /// The conversation that a message belongs to (DESIGN §4, Isolation).
    static func between(
        _ sender: Identity,
        _ addressee: String,
        _ type: UserType
    ) throws(FrameProblem) -> String {
        guard addressee != sender.userID else {
            throw FrameProblem(code: .recipientForbidden, message: "to_user_id: must be somebody else")
        }
        switch (sender.userType, type) {
        case (.customer, .agent): return ofCustomer(sender.userID)
        case (.agent, .customer): return ofCustomer(addressee)
        case (.agent, .agent): return ofAgents(sender.userID, addressee)
        case (.customer, .customer):
            // The same answer as for a name that nobody has: customers learn nothing of each other.
            throw UserDirectory.unknownRecipient
        }
    }

    /// The answer for a conversation that is not there, or not for the user to know of.
    static let unknown = FrameProblem(code: .conversationUnknown, message: "conversation_id: no such conversation")

    /// Whether a user may read it: a customer their own, an agent any customer's and their own with other agents.
    static func isReadable(_ name: String, by identity: Identity) -> Bool {
        // The characters of anything else take long to tell from a colon.
        guard name.isASCII else { return false }
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
