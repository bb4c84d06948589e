/// Whose a conversation is, from its name.
extension ConversationName {
    /// The customer of a `c:` conversation; `nil` for one between agents.
    static func customer(of name: String) -> String? {
        name.hasPrefix("c:") ? String(name.dropFirst(2)) : nil
    }

    /// The two agents of a `d:` conversation.
    static func agents(of name: String) -> (first: String, second: String)? {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "d" else { return nil }
        return (String(parts[1]), String(parts[2]))
    }
}
