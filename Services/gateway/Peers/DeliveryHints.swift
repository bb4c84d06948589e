/// What another gateway is told of what was committed: the body of `POST /internal/deliver` (DESIGN §5).
///
/// A lost or repeated hint does no harm: what has to be sent is in the log, and a connection is sent it once.
///
/// ```json
/// {"entries":[{"conversation_id":"c:user123","head":42,"user_ids":["user123"],"texts":[{"type":"Chat",…}]}]}
/// ```
struct DeliveryHints: Sendable, Equatable {
    /// The most hints in one request; more is 422.
    static let entriesMax = 1000

    /// At most `entriesMax`.
    var entries: [DeliveryHint] = []
    /// More was pending than the sender keeps: read the heads of everybody who is connected there.
    var readAll = false

    var textByteCount: Int { entries.reduce(0) { $0 + $1.textByteCount } }

    /// Hints of one conversation follow each other.
    var conversationCount: Int {
        zip(entries, entries.dropFirst()).reduce(entries.isEmpty ? 0 : 1) {
            $0 + ($1.0.conversationID == $1.1.conversationID ? 0 : 1)
        }
    }
}

/// How far members of a conversation are to be sent it.
struct DeliveryHint: Sendable, Equatable {
    let conversationID: String
    /// The last entry for these members, or of a run of texts before that.
    ///
    /// Members whose part of the conversation ends elsewhere, and each further run, have another hint of it.
    let head: Int
    /// The members that are thought to be there.
    let userIDs: [String]
    /// The stored texts of the last entries up to `head`, oldest first, as far as they are at hand.
    ///
    /// Who has all that precedes them is sent these, and for the others they are read from the log.
    var texts: [ArraySlice<UInt8>] = []

    /// The sequence of the first text.
    var firstSequence: Int { head - texts.count + 1 }

    var textByteCount: Int { texts.reduce(0) { $0 + $1.count } }
}
