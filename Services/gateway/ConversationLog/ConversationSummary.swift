import Contracts
import Core

/// Which conversations to list.
struct ConversationQuery: Sendable, Equatable {
    enum Scope: String, Sendable, WireWord {
        /// A customer's own one; an agent's: those assigned to them now or last, and theirs with other agents.
        case own
        /// Every customer's; for agents.
        case all
    }

    let user: String
    let userType: UserType
    let scope: Scope
    /// Only those in this state.
    var state: RoutingState?
    /// Only those that follow this one, a page's `next`.
    var cursor: Int64?
    /// The most conversations.
    var limit: Int
}

/// A page of conversations.
struct ConversationPage: Sendable, Equatable {
    var conversations: [ConversationSummary] = []
    /// The cursor of what follows; `nil` on the last page.
    var next: Int64?
}

/// A conversation as `GET /api/conversations` shows it to one user.
struct ConversationSummary: Sendable, Equatable {
    let conversationID: String
    /// `nil` between two agents.
    let customerID: String?
    /// The agent it is assigned to.
    let agentID: String?
    let state: RoutingState
    /// The last `Chat`, complete with its `seq`, as JSON; `nil` when the newest entries have none.
    let lastMessage: String?
    let head: Int
    /// Others' `Chat` entries past the user's read position, not recalled, among the newest `unreadSpan` entries.
    let unread: Int
    /// When the last entry was appended.
    let updatedAt: Timestamp

    /// The entries at the end of a conversation that `unread` is counted over.
    static let unreadSpan = 1000
    /// The entries at the end of a conversation among which the last message is looked for.
    static let lastMessageSpan = 50
}
