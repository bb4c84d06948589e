/// The reads of conversations that other gateways have hinted at: pure.
///
/// A conversation has one read under way, for all connections that need the same entries; hints that come meanwhile
/// are merged, and read after it.
struct HintReads {
    /// A connection, and how far it is to be sent the conversation.
    struct Reader: Equatable {
        let session: UInt64
        let head: Int
    }

    private var underWay: [String: [UInt64: Int]] = [:]
    private var waiting: [String: [UInt64: Int]] = [:]

    /// A connection is to be sent a conversation up to a head.
    ///
    /// - Returns: Whether a read is to be begun, when all that came with it are noted.
    mutating func note(_ conversationID: String, _ reader: Reader) -> Bool {
        let isFirst = waiting[conversationID] == nil
        let known = waiting[conversationID]?[reader.session] ?? 0
        waiting[conversationID, default: [:]][reader.session] = max(known, reader.head)
        return isFirst && underWay[conversationID] == nil
    }

    /// A read begins, for all that are noted.
    mutating func begin(_ conversationID: String) -> [Reader] {
        guard underWay[conversationID] == nil, let readers = waiting.removeValue(forKey: conversationID) else {
            return []
        }
        underWay[conversationID] = readers
        return readers.map { Reader(session: $0.key, head: $0.value) }
    }

    /// It was answered.
    ///
    /// - Returns: Whom it was for, and whether more was noted meanwhile: another one is to be begun.
    mutating func end(_ conversationID: String) -> (readers: [Reader], isNextDue: Bool) {
        let readers = (underWay.removeValue(forKey: conversationID) ?? [:]).map {
            Reader(session: $0.key, head: $0.value)
        }
        return (readers, waiting[conversationID] != nil)
    }
}
