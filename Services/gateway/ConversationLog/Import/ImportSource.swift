import Core
import Storage

/// The log of an embedded installation, as an import reads it: in parts, and without changing anything.
///
/// Entries are read in the order of their rows, so the index file is not needed.
final class ImportSource {
    /// Entries of a part, and the bytes of their texts after which it ends.
    static let entriesMax = 2000
    static let bytesMax = 4 << 20
    /// Other rows of a part.
    static let rowsMax = 500

    private let lock: FileLock
    private let connection: Connection
    private let rows: ConversationRows
    private let entryStatement: Statement
    private let countStatement: Statement
    private var isCounted = false
    /// A migrated copy, removed at the end.
    private let copy: String?

    /// - Parameters:
    ///   - directory: Where the log's files lie.
    ///   - scratch: Where a copy is made if the log has an older schema.
    /// - Throws: `ImportRefusal`, `StorageError` when it must not be read; `SQLiteError`.
    init(directory: String, scratch: String) throws {
        let path = LogFiles(directory: directory).log
        // The lock's file is made beside it, which must not make the directory of a mistyped path.
        guard FilePreparation.exists(path) else { throw ImportRefusal("\(path): there is no such file") }
        lock = try FileLock(protecting: path, advice: "Stop the gateway first.")
        if let user = try FileLock.databaseUser(path) {
            throw StorageError.owned(path: path, owner: user, advice: "Stop it first.")
        }
        let original = try Connection(path: path, options: ConnectionOptions(mode: .readOnly))
        let migrator = Migrator(LogSchema.logMigrations)
        guard try migrator.hasBegun(original) else { throw ImportRefusal("\(path): is no message log") }
        if try migrator.isBehind(original) {
            connection = try Self.migratedCopy(of: original, at: scratch, migrator)
            copy = scratch
            original.close()
        } else {
            connection = original
            copy = nil
        }
        rows = try ConversationRows(connection: connection)
        // CROSS: in the order of the rows, whatever the planner thinks of it.
        entryStatement = try connection.prepare(
            """
            SELECT l.i, n.name, l.q, l.h, l.b FROM log l CROSS JOIN conversation n ON n.c = l.c
            WHERE l.i > ? ORDER BY l.i LIMIT \(Self.entriesMax)
            """
        )
        // Sorted in SQLite's temporary files: it may be longer than memory.
        countStatement = try connection.prepare(
            """
            SELECT n.name, l.head, l.entries, l.identified, coalesce(m.members, 0)
            FROM (SELECT c, max(q) AS head, count(*) AS entries, sum(h <> 0) AS identified FROM log GROUP BY c) l
            LEFT JOIN conversation n ON n.c = l.c
            LEFT JOIN (SELECT c, count(*) AS members FROM member GROUP BY c) m ON m.c = l.c
            """
        )
    }

    deinit {
        connection.close()
        if let copy { try? FilePreparation.removeDatabase(copy) }
    }

    private static func migratedCopy(
        of original: Connection,
        at scratch: String,
        _ migrator: Migrator
    ) throws -> Connection {
        try FilePreparation.removeDatabase(scratch)
        try FilePreparation.createPrivateFile(scratch)
        try original.run("VACUUM INTO ?", scratch)
        let copy = try Connection(path: scratch, options: ConnectionOptions(synchronous: .off))
        try migrator.migrate(copy)
        return copy
    }

    // MARK: - Entries

    struct Entry {
        let conversationID: String
        let sequence: Int
        /// `nil` without a `client_id`.
        let digest: [UInt8]?
        let text: [UInt8]
        let isRecalled: Bool
    }

    /// The id of the first entry, by which an installation is known; empty for a log without entries.
    func identity() throws -> String {
        let text = try connection.first("SELECT b FROM log ORDER BY i LIMIT 1") { $0.bytes(0) }
        return text.flatMap { StoredEntry.field("id", in: $0) } ?? ""
    }

    func entriesCount() throws -> Int { try connection.first("SELECT count(*) FROM log") { $0.int(0) } ?? 0 }

    func conversationsCount() throws -> Int {
        try connection.first("SELECT count(*) FROM conversation") { $0.int(0) } ?? 0
    }

    /// The entries behind a row, oldest first, and the last one's row; `nil` at the end.
    func entries(after row: Int64) throws -> (entries: [Entry], last: Int64)? {
        var entries: [Entry] = []
        var (last, bytes) = (row, 0)
        defer { entryStatement.reset() }
        try entryStatement.bind(row, at: 1)
        while bytes < Self.bytesMax, try entryStatement.step() {
            let row = entryStatement.row
            let text = row.bytes(4)
            let isIdentified = row.int64(3) != 0
            entries.append(
                Entry(
                    conversationID: row.string(1),
                    sequence: row.int(2),
                    digest: isIdentified ? try Self.digest(text) : nil,
                    text: text,
                    isRecalled: StoredEntry.isRecalled(text)
                )
            )
            last = row.int64(0)
            bytes += text.count
        }
        return entries.isEmpty ? nil : (entries, last)
    }

    private static func digest(_ text: [UInt8]) throws -> [UInt8] {
        guard let sender = StoredEntry.field("from_user_id", in: text),
            let clientID = StoredEntry.field("client_id", in: text)
        else { throw ImportRefusal("an entry with a client_id does not name it: damaged") }
        return PendingAppend.digest(sender: sender, clientID: clientID)
    }

    // MARK: - Conversations and what belongs to them

    struct Conversation {
        let number: Int64
        let name: String
        let state: ConversationState
        let needNumber: Int?
        /// The row of the entry that gave it its place in lists.
        let place: Int
    }

    func conversations(after number: Int64) throws -> [Conversation] {
        let names = try connection.rows(
            "SELECT c, name, changed FROM conversation WHERE c > ? ORDER BY c LIMIT ?",
            number,
            Int64(Self.rowsMax)
        ) { (number: $0.int64(0), name: $0.string(1), place: $0.int(2)) }
        return try names.compactMap { number, name, place in
            try rows.find(name).map { found in
                Conversation(
                    number: number,
                    name: name,
                    state: found.state,
                    needNumber: found.needNumber.map { Int($0) },
                    place: place
                )
            }
        }
    }

    struct Member {
        let user: String
        let number: Int64
        let conversationID: String
        let delivered: Int
        let read: Int
        /// `nil` for one who is a member now.
        let ended: Int?
        /// Where the membership began; unknown of an old one, which has its position in place of it.
        let start: Int
    }

    /// The members behind a user and the number of a conversation of theirs.
    func members(after user: String, _ number: Int64) throws -> [Member] {
        try connection.rows(
            """
            SELECT m.u, m.c, n.name, m.delivered, m.read, m.ended, m.start
            FROM member m CROSS JOIN conversation n ON n.c = m.c
            WHERE (m.u, m.c) > (?, ?) ORDER BY m.u, m.c LIMIT ?
            """,
            user,
            number,
            Int64(Self.rowsMax)
        ) { row in
            Member(
                user: row.string(0),
                number: row.int64(1),
                conversationID: row.string(2),
                delivered: row.int(3),
                read: row.int(4),
                ended: row.optionalInt64(5).map { Int($0) },
                start: row.optionalInt64(6).map { Int($0) } ?? row.int(3)
            )
        }
    }

    /// What is due behind a number, with the conversations.
    func outbox(after number: Int64) throws -> [(item: OutboxItem, conversationID: String)] {
        try connection.rows(
            """
            SELECT \(OutboxItem.columns) FROM outbox o CROSS JOIN conversation n ON n.c = o.c
            WHERE o.n > ? ORDER BY o.n LIMIT ?
            """,
            number,
            Int64(Self.rowsMax)
        ) { row in OutboxItem(row).map { (item: $0, conversationID: row.string(2)) } }.compactMap { $0 }
    }

    /// The highest number that a place in lists or an item of the outbox has had.
    func lastNumber() throws -> Int {
        let row = try connection.first("SELECT max(i) FROM log") { $0.int(0) } ?? 0
        let item = try connection.first("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'") { $0.int(0) } ?? 0
        return max(row, item)
    }

    // MARK: - Counts

    struct Counts: Equatable {
        let head: Int
        let entries: Int
        let identified: Int
        let members: Int
    }

    /// The counts of so many conversations more; none at the end.
    func nextCounts() throws -> [(name: String, counts: Counts)] {
        var counts: [(String, Counts)] = []
        while !isCounted, counts.count < Self.rowsMax {
            guard try countStatement.step() else {
                // A further step would begin again.
                isCounted = true
                break
            }
            let row = countStatement.row
            let found = Counts(head: row.int(1), entries: row.int(2), identified: row.int(3), members: row.int(4))
            counts.append((row.string(0), found))
        }
        return counts
    }
}
