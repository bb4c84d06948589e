import Contracts
import Redis

/// What finds conversations by something else than their name: sorted sets, each in a slot of its own.
///
/// No step of Redis reaches over slots. So an index is written *before* the change in the conversation's slot that
/// makes it true, and names the version which that change will make; what it names is looked up in the conversation
/// itself and left out when it is not so. Nothing can be lost this way, whoever dies when: what was announced and not
/// stored is taken out by whoever finds it once the conversation has reached that version, so that it never will be
/// stored.
struct LogIndex: Sendable {
    /// Gives numbers to places in lists and to outbox items.
    static let numbers = RedisArgument.key("{log:numbers}")
    /// A hash: how far an import has come (`ImportState`), and of which installation it is.
    static let importing = RedisArgument.key("{log:import}")
    /// What is due, by number.
    static let outbox = RedisArgument.key("{log:outbox}")

    /// A user's conversations, by the version from which on they were a member.
    static func user(_ user: String) -> RedisArgument { .key("{log:user:\(user)}") }

    /// Customers' conversations in this state, by the number of the change that brought them there.
    static func list(_ state: RoutingState) -> RedisArgument { .key("{log:list:\(state.rawValue)}") }

    /// The same of an agent: the conversations assigned to them now or last, and those with other agents.
    static func list(_ state: RoutingState, of agent: String) -> RedisArgument {
        .key("{log:agent:\(agent):\(state.rawValue)}")
    }

    /// The lists that a conversation in this state stands in.
    static func lists(_ conversationID: String, _ state: ConversationState) -> [RedisArgument] {
        if let agents = ConversationName.agents(of: conversationID) {
            return [list(.open, of: agents.first), list(.open, of: agents.second)]
        }
        return [list(state.routing)] + (state.lastAgent.map { [list(state.routing, of: $0)] } ?? [])
    }

    /// A member of a list or of the outbox.
    struct Entry: Equatable {
        /// Its score; never given out again.
        let number: Int
        /// The version of the conversation with which it becomes true.
        let version: Int
        let conversationID: String

        init(number: Int, version: Int, conversationID: String) {
            self.number = number
            self.version = version
            self.conversationID = conversationID
        }

        init?(_ value: RESPValue) {
            let parts = value.text?.split(separator: " ", maxSplits: 2) ?? []
            guard parts.count == 3, let number = Int(parts[0]), let version = Int(parts[1]) else { return nil }
            self.init(number: number, version: version, conversationID: String(parts[2]))
        }

        func put(into index: RedisArgument) -> RedisCommand {
            RedisCommand("ZADD", index, .integer(number), .text("\(number) \(version) \(conversationID)"))
        }
    }

    static func remove(_ number: Int, from index: RedisArgument) -> RedisCommand {
        RedisCommand("ZREMRANGEBYSCORE", index, .integer(number), .integer(number))
    }

    /// The entries past a number, in order.
    static func read(_ index: RedisArgument, after number: Int, limit: Int) -> RedisCommand {
        RedisCommand("ZRANGEBYSCORE", index, .text("(\(number)"), "+inf", "LIMIT", 0, .integer(limit))
    }

    /// The entries before a number, the last one first.
    static func readBackwards(_ index: RedisArgument, before number: Int, limit: Int) -> RedisCommand {
        RedisCommand("ZREVRANGEBYSCORE", index, .text("(\(number)"), "-inf", "LIMIT", 0, .integer(limit))
    }

    static func join(_ user: String, _ conversationID: String, version: Int) -> RedisCommand {
        RedisCommand("ZADD", self.user(user), "GT", .integer(version), .text(conversationID))
    }

    /// Takes conversations out in which a user is no member any more and owed nothing, each as of a version.
    static func forget(_ done: [(conversationID: String, version: Int)], of user: String) -> RedisCommand {
        RedisCommand(
            "FCALL",
            [.text("messagelog_forget_1"), 1, self.user(user)]
                + done.flatMap { [.text($0.conversationID), .integer($0.version)] }
        )
    }
}
