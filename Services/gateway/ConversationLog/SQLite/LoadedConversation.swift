import Core
import Crypto
import Storage

/// What the writer keeps of a conversation in use; read from the files at its first use.
final class LoadedConversation {
    let number: Int64
    let name: String
    var head: Int
    var state: ConversationState
    /// The outbox's number of the state's `need`.
    var needNumber: Int64?
    /// Sequences by hash of sender and `client_id`; `nil` until an append brings a `client_id`.
    var sequences: [Int64: Int]?
    /// When it was last used, in commits.
    var lastUse = 0

    init(number: Int64, name: String, head: Int, state: ConversationState, needNumber: Int64? = nil) {
        self.number = number
        self.name = name
        self.head = head
        self.state = state
        self.needNumber = needNumber
    }

    /// The hash of an idempotency key: 64 bits of SHA-256, never 0.
    ///
    /// A hit is compared with the entry itself, so that it is exact; `attempt` gives the next place when two keys
    /// collide.
    static func hash(sender: String, clientID: String, attempt: Int) -> Int64 {
        let digest = SHA256.hash(Array("\(attempt)\u{0}\(sender)\u{0}\(clientID)".utf8))
        let value = digest.prefix(8).reduce(Int64(0)) { $0 << 8 | Int64($1) }
        return value == 0 ? 1 : value
    }
}

/// The conversations that the writer has in memory, the least recently used ones given up.
struct LoadedConversations {
    /// The most conversations held, and the most idempotency entries over all of them (about 32 bytes each).
    static let countMax = 100_000
    static let sequencesMax = 4_000_000

    private var byName: [String: LoadedConversation] = [:]
    private var sequencesCount = 0
    /// Counted up by the writer for each commit.
    var commit = 0

    subscript(_ name: String) -> LoadedConversation? {
        guard let conversation = byName[name] else { return nil }
        conversation.lastUse = commit
        return conversation
    }

    mutating func insert(_ conversation: LoadedConversation) {
        if byName.count >= Self.countMax { evict() }
        conversation.lastUse = commit
        byName[conversation.name] = conversation
    }

    /// Counts idempotency entries that a conversation has got.
    mutating func addSequences(_ count: Int) {
        sequencesCount += count
        if sequencesCount > Self.sequencesMax { evict() }
    }

    /// Forgets everything: after a failed commit memory may be ahead of the file.
    mutating func removeAll() {
        byName = [:]
        sequencesCount = 0
    }

    private mutating func evict() {
        // Those of the running commit stay: their heads are ahead of the file.
        let order = byName.values.filter { $0.lastUse < commit }.sorted { $0.lastUse < $1.lastUse }
        for conversation in order.prefix(max(order.count / 4, 1)) {
            sequencesCount -= conversation.sequences?.count ?? 0
            byName[conversation.name] = nil
        }
    }
}
