import Core
import Crypto

/// An entry on its way into the log.
struct PendingAppend {
    let batch: PendingBatch
    /// In the batch.
    let index: Int
    let digest: [UInt8]

    var append: Append { batch.batch.appends[index] }

    /// The idempotency key: 12 bytes of SHA-256 of sender and `client_id`.
    ///
    /// An entry without one gets one made of its own id, so that it too can be sent again when its outcome is unknown.
    static func digest(_ append: Append, in batch: AppendBatch) -> [UInt8] {
        if let clientID = append.clientID { return digest(sender: append.sender, clientID: clientID) }
        // `"id":"…",…`; no sender's name begins like that.
        return digest(Array("\u{0}".utf8) + batch.bytes.waiting[append.acknowledged].prefix(7 + MessageID.length))
    }

    /// The same of an entry with a `client_id`.
    static func digest(sender: String, clientID: String) -> [UInt8] {
        digest(Array("\(sender)\u{0}\(clientID)".utf8))
    }

    private static func digest(_ key: [UInt8]) -> [UInt8] { Array(SHA256.hash(key).prefix(12)) }
}

/// A batch that is not handed back yet.
final class PendingBatch {
    let batch: AppendBatch
    /// Entries without an outcome.
    var missing: Int

    init(_ batch: AppendBatch) {
        self.batch = batch
        missing = batch.appends.count
    }
}

/// What a gateway keeps of a conversation in use.
final class KnownConversation {
    let name: String
    let keys: ConversationKeys
    /// As it was in `version`; `nil` until it is read.
    private(set) var state: ConversationState?
    private(set) var version = 0
    /// The outbox's number of the state's `need`.
    private(set) var needNumber: Int?
    /// The number of its place in lists.
    private(set) var place = 0
    /// At least this; others append as well.
    var head = 0
    /// In the order in which they came.
    var waiting: [PendingAppend] = []
    /// Whether a step of ours is under way: one at a time, so that the order stays.
    var isBusy = false
    /// Whether it is among those that are to be looked at.
    var isReady = false
    /// Steps in a row that found another state than the known one.
    var refusals = 0
    /// When it was last used, in turns.
    var lastUse = 0

    init(_ name: String) {
        self.name = name
        keys = ConversationKeys(name)
    }

    /// Takes over what Redis has.
    ///
    /// - Parameter json: `nil` for a conversation without entries.
    func take(version: Int, json: [UInt8]?) throws {
        guard let json else {
            set(ConversationState(conversationID: name), version: version, needNumber: nil, place: 0)
            return
        }
        let stored = try StoredConversation(json: json)
        set(stored.state(of: name), version: version, needNumber: stored.need?.number, place: stored.place)
    }

    func set(_ state: ConversationState, version: Int, needNumber: Int?, place: Int) {
        self.state = state
        self.version = version
        self.needNumber = needNumber
        self.place = place
    }

    /// The version that is in memory, and its members.
    var known: (version: Int, members: [String])? { state.map { (version, $0.members) } }

    /// It is read again before it is used.
    func forget() { state = nil }
}

/// The conversations that a gateway has in memory, the least recently used ones given up.
struct KnownConversations {
    static let countMax = 100_000
    private var byName: [String: KnownConversation] = [:]
    /// Counted up with each turn that begins something.
    var turn = 0

    subscript(_ name: String) -> KnownConversation? { byName[name] }

    /// It, or a new one.
    mutating func find(_ name: String) -> KnownConversation {
        if let known = byName[name] {
            known.lastUse = turn
            return known
        }
        if byName.count >= Self.countMax { evict() }
        let new = KnownConversation(name)
        new.lastUse = turn
        byName[name] = new
        return new
    }

    private mutating func evict() {
        let idle = byName.values.filter { !$0.isBusy && $0.waiting.isEmpty }.sorted { $0.lastUse < $1.lastUse }
        for conversation in idle.prefix(max(idle.count / 4, 1)) { byName[conversation.name] = nil }
    }
}
