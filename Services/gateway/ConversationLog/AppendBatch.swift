import Core

/// Identifies a connection of this gateway; never reused, so an answer cannot reach another connection.
struct ConnectionID: Hashable, Sendable {
    /// The shard (event loop) that owns it.
    let shard: Int
    let number: UInt64
}

/// What became of an append, once its batch is committed or has failed.
enum AppendOutcome {
    case pending
    /// A new entry; `members` as they are with it.
    case appended(sequence: Int, members: [String])
    /// The same sender and `client_id` had been appended before: the stored entry.
    case repeated(sequence: Int, stored: [UInt8], members: [String])
    /// Nothing was stored.
    case failed(FrameProblem)
}

/// One entry to append to a conversation's log.
struct Append {
    let conversationID: String
    let sender: String
    /// Becomes a member by this entry, as the sender does.
    let addressee: String?
    /// Idempotency key, for ever, within conversation and sender.
    let clientID: String?
    /// The stored text, in the batch's bytes: a JSON object without its head `{"seq":N,`.
    let text: Range<Int>
    /// The part of the text that an `Ack` repeats (`id`, `conversation_id`, `timestamp`).
    let acknowledged: Range<Int>
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
    let head: Int
}
