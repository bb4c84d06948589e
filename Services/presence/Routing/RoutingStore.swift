import Contracts

/// What routing keeps for good: every customer's conversation and the decisions on it.
protocol RoutingStore: Sendable {
    /// The conversations that wait, have an agent or have a pending decision.
    func liveConversations() async throws -> [RoutedConversation]

    /// Those of the conversations that are known.
    func conversations(_ conversationIDs: [String]) async throws -> [RoutedConversation]

    /// Stores the effects of a group of commands, all or none; durable on return.
    ///
    /// When it throws they may be stored all the same: `liveConversations` says.
    func store(_ effects: RoutingEffects) async throws

    /// A conversation's decisions, newest first.
    func decisions(of conversationID: String, limit: Int) async throws -> [RoutingDecision]
}

/// The bounds of what is kept.
enum RoutingRetention {
    /// The newest decisions kept of a conversation.
    static let decisionsMax = 200
}
