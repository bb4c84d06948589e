import Storage

/// Questions to the index file, on a connection that sees its tables.
enum LogIndexQueries {
    /// The last indexed sequence of a conversation, 0 without one.
    static func head(of conversation: Int64, _ connection: Connection) throws -> Int {
        let key = try connection.first(
            "SELECT max(i) FROM x WHERE i BETWEEN ? AND ?",
            LogSchema.indexKey(conversation: conversation, sequence: 0),
            LogSchema.indexKey(conversation: conversation, sequence: LogSchema.sequenceMax)
        ) { $0.int64(0) }
        return Int(key ?? 0) & LogSchema.sequenceMax
    }

    /// Sequences by idempotency hash.
    static func hashes(of conversation: Int64, _ connection: Connection) throws -> [Int64: Int] {
        let pairs = try connection.rows(
            "SELECT h, i FROM x WHERE i BETWEEN ? AND ? AND h != 0",
            LogSchema.indexKey(conversation: conversation, sequence: 0),
            LogSchema.indexKey(conversation: conversation, sequence: LogSchema.sequenceMax)
        ) { ($0.int64(0), $0.int(1) & LogSchema.sequenceMax) }
        return Dictionary(pairs) { first, _ in first }
    }

    /// The row of one entry, `nil` when the index does not have it.
    static func row(of sequence: Int, in conversation: Int64, _ connection: Connection) throws -> Int64? {
        let key = LogSchema.indexKey(conversation: conversation, sequence: sequence)
        return try connection.first("SELECT r FROM x WHERE i = ?", key) { $0.int64(0) }
    }
}
