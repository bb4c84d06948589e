import Contracts
import Core

/// Identifies a connection of this gateway; never reused, so an answer cannot reach another connection.
struct ConnectionID: Hashable, Sendable {
    /// The shard (event loop) that owns it.
    let shard: Int
    let number: UInt64
}

/// What an entry is, and what it does to its conversation.
enum EntryKind: Equatable, Sendable {
    /// A message; its sender and its addressee become members.
    case chat
    /// Takes the content of a `Chat` away (DESIGN R13): one of the sender's own, not older than `recallWindow`.
    case recall(target: Int)
    /// The conversation has this agent from here on.
    case assigned(agentID: String)
    /// The same, or without an agent back to the queue; ends the former agent's membership.
    case transferred(agentID: String?)
    /// Ends every agent's membership.
    ///
    /// - Parameter asked: The head when it was asked: a customer's `Chat` past it needs an agent all the same.
    case closed(asked: Int)

    /// How old a message may be that is recalled, in milliseconds.
    static let recallWindow: Int64 = 120_000

    /// Whose entries of the kinds that routing makes are; nobody's user id.
    static let system = "system"
}

/// What became of an append, once its batch is committed or has failed.
enum AppendOutcome {
    case pending
    /// A new entry; `audience` are the members before and after it.
    case appended(sequence: Int, audience: [String])
    /// The same sender and `client_id` had been appended before, or the message was recalled before: the stored entry.
    case repeated(sequence: Int, stored: [UInt8], audience: [String])
    /// Nothing was stored.
    case failed(FrameProblem)
}

/// One entry to append to a conversation's log.
struct Append {
    let conversationID: String
    let sender: String
    /// `nil` for the system.
    let senderType: UserType?
    /// Named by the sender; becomes a member by a `Chat`, as the sender does.
    let addressee: String?
    /// Idempotency key, for ever, within conversation and sender.
    let clientID: String?
    let kind: EntryKind
    /// The stored text, in the batch's bytes: a JSON object without its head `{"seq":N,`.
    ///
    /// The log completes that of a customer's `Chat` without addressee: `to_user_id` is the agent assigned at that
    /// point of the log, or null.
    var text: Range<Int>
    /// The part of the text that an `Ack` repeats (`id`, `conversation_id`, `timestamp`).
    let acknowledged: Range<Int>
    /// The file that a `Chat` carries, and under which source it was granted.
    let file: GrantedFile?
    /// Whose `Ack` it is.
    let origin: ConnectionID?
    var outcome = AppendOutcome.pending
}

/// What a shard gathered in one turn: entries, and one buffer that holds their texts.
///
/// Built by a shard, filled with outcomes by the log's writer, then read by every shard: one owner at a time.
final class AppendBatch {
    var bytes = ByteQueue()
    var appends: [Append] = []
    /// The routing decisions that the entries are of; empty for messages.
    var decisions: [RoutingDecision] = []
    /// What its commit has made due, for whoever sees to it (`ConversationLog.outbox`).
    var due: [OutboxItem] = []
}

/// Something that an entry makes due elsewhere, stored with the entry and kept until it is settled: a crash between
/// the two loses nothing.
struct OutboxItem: Equatable, Sendable {
    enum Work: Equatable, Sendable {
        /// The conversation needs an agent (DESIGN R10).
        case route(RoutingNeed)
        /// The assigned agent has written for the first time since they were assigned.
        case answered(conversationID: String, agentID: String, sequence: Int)
        /// A message that carried a file was recalled (DESIGN R13).
        case revoke(GrantedFile)
    }

    /// Unique for ever; settling it leaves a later one for the same conversation alone.
    let number: Int64
    let work: Work
}

/// A conversation that needs an agent, and why.
struct RoutingNeed: Equatable, Sendable {
    let conversationID: String
    /// The message that needs it.
    let sequence: Int
    let requestedBy: String
    let requesterType: UserType
    /// The agent whom a customer named.
    let agentID: String?
}

/// Entries of one conversation as they were read, oldest first.
struct EntryPage: Sendable {
    struct Entry: Sendable {
        let sequence: Int
        /// Where its stored text lies in `bytes`.
        let text: Range<Int>
    }

    var bytes: [UInt8] = []
    var entries: [Entry] = []
    /// The conversation's last sequence when it was read; 0 for one that does not exist.
    var head = 0
}

/// Which entries to read.
enum EntryRange: Sendable {
    /// Those that follow a sequence, oldest first.
    case after(Int)
    /// The last ones before a sequence (`nil`: the newest), given oldest first.
    case before(Int?)
}

/// A conversation as one of its members has it.
struct MemberPosition: Sendable, Equatable {
    let conversationID: String
    /// The last sequence that a device of theirs has taken.
    let delivered: Int
    /// How far they are to be sent: the conversation's last sequence, or the one that ended their membership.
    let head: Int
    /// Where the membership, or the last one, began.
    ///
    /// What precedes was sent before, or is not for them. `nil` when it began before that was kept.
    var start: Int?
    /// Whether the membership has ended, with entry `head`.
    var hasEnded = false
    /// The agent whom a customer's conversation is assigned to.
    var agentID: String?
}

/// A receipt that was stored: a member's position has moved.
struct PositionMove: Equatable, Sendable {
    let conversationID: String
    let userID: String
    /// The new positions, `nil` for one that has not moved.
    let delivered: Int?
    let read: Int?
    let members: [String]
    /// The connection that it came from, when only one has said so.
    let origin: ConnectionID?
}

extension AppendBatch {
    /// The text to store: a customer's message to nobody in particular is to the agent assigned now.
    ///
    /// - Returns: Where it lies in `bytes`.
    func completedText(of append: Append, agent: String?) -> Range<Int> {
        guard append.addressee == nil, append.senderType == .customer, append.kind == .chat else { return append.text }
        let start = bytes.count
        let length = append.text.count - 1
        // The place comes first: making it may move what is copied.
        let place = bytes.reserve(length)
        place.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.waiting[append.text].prefix(length)))
        if let agent {
            bytes.append(#","to_user_id":""#)
            bytes.append(text: agent)
            bytes.append("\"}")
        } else {
            bytes.append(#","to_user_id":null}"#)
        }
        return start..<bytes.count
    }
}

extension FrameProblem {
    /// A key that names an entry of another type: neither a repeat nor to be acknowledged, since what the frame asks
    /// for was not done.
    static let clientIDReused = FrameProblem.field("client_id", "names an entry of another type", .clientIDReused)

    /// A conversation has as many entries as it may.
    static let conversationFull = FrameProblem(
        code: .storageFull,
        message: "conversation_id: holds \(LogSchema.sequenceMax) entries"
    )
}
