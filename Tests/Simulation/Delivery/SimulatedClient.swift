/// One device of a user, as a client of the protocol behaves: cursors, `Sync`, and messages that are sent again with
/// their `client_id` until they are acknowledged.
struct SimulatedClient {
    struct Outgoing {
        let clientID: String
        let conversation: Int
        let addressee: Int?
        var acknowledged: Int?
    }

    enum ServerFrame {
        case entry(conversation: Int, sequence: Int)
        /// - Parameter hasPlace: Whether it stands in its entry's place; not for who is no member any more.
        case acknowledgement(conversation: Int, sequence: Int, clientID: String, hasPlace: Bool)
        case gap(conversation: Int, to: Int)
        case synced([(conversation: Int, head: Int)])
    }

    enum ClientFrame {
        case sync([SyncCursor])
        case chat(Outgoing)
    }

    let user: Int
    /// By conversation, the last sequence that the device has.
    var cursors: [Int?]
    var outbox: [Outgoing] = []
    /// The number of its connection; `nil` while it has none.
    private(set) var connection: Int?
    /// By conversation without a cursor, the last sequence that an `Ack` of this connection stood for: where the
    /// gateway begins is not known before the first entry, and lies behind a `closed` that came meanwhile.
    private(set) var acknowledged: [Int?]
    private(set) var faults: [String] = []

    init(user: Int, conversations: Int) {
        self.user = user
        cursors = Array(repeating: nil, count: conversations)
        acknowledged = cursors
    }

    mutating func connected(_ number: Int) {
        connection = number
        acknowledged = Array(repeating: nil, count: cursors.count)
    }

    mutating func disconnected() { connection = nil }

    mutating func takeFaults() -> [String] {
        defer { faults = [] }
        return faults
    }

    /// Takes a frame; what breaks invariants 1, 2 or R7 becomes a fault.
    mutating func take(_ frame: ServerFrame, _ log: SimulatedLog) {
        switch frame {
        case .entry(let conversation, let sequence): take(conversation, sequence)
        case .gap(let conversation, let to): cursors[conversation] = to
        case .synced(let heads):
            for (conversation, head) in heads {
                if let cursor = cursors[conversation], cursor < head {
                    faults.append("synced to \(head) of conversation \(conversation), has \(cursor)")
                }
                cursors[conversation] = max(cursors[conversation] ?? acknowledged[conversation] ?? 0, head)
            }
        case .acknowledgement(let conversation, let sequence, let clientID, let hasPlace):
            acknowledge(conversation, sequence, clientID, log)
            if hasPlace { take(acknowledged: conversation, sequence, clientID) }
        }
    }

    private mutating func take(_ conversation: Int, _ sequence: Int) {
        if let cursor = cursors[conversation], sequence != cursor + 1 {
            faults.append("entry \(sequence) of conversation \(conversation) after \(cursor)")
        }
        if cursors[conversation] == nil, let former = acknowledged[conversation], sequence <= former {
            faults.append("entry \(sequence) of conversation \(conversation) after the Ack of \(former)")
        }
        cursors[conversation] = sequence
    }

    private mutating func acknowledge(
        _ conversation: Int,
        _ sequence: Int,
        _ clientID: String,
        _ log: SimulatedLog
    ) {
        let entries = log.conversations[conversation].entries
        guard sequence <= entries.count, entries[sequence - 1].clientID == clientID else {
            return faults.append("\(clientID) is acknowledged as \(sequence), which is not it")
        }
        if let index = outbox.firstIndex(where: { $0.clientID == clientID }) {
            if let former = outbox[index].acknowledged, former != sequence {
                faults.append("\(clientID) is acknowledged as \(former) and \(sequence)")
            }
            outbox[index].acknowledged = sequence
        }
    }

    /// The `Ack` stands for the entry, unless this came before (R7).
    private mutating func take(acknowledged conversation: Int, _ sequence: Int, _ clientID: String) {
        switch cursors[conversation] {
        case let cursor? where sequence > cursor + 1:
            faults.append("\(clientID), \(sequence), is acknowledged at \(cursor)")
        case let cursor?: cursors[conversation] = max(cursor, sequence)
        case nil: acknowledged[conversation] = max(acknowledged[conversation] ?? 0, sequence)
        }
    }
}
