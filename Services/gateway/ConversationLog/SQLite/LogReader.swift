import Core
import Storage

/// Reads committed entries on a connection of its own; one thread at a time uses it.
final class LogReader {
    private let connection: Connection
    private let tail: LogTail

    init(files: LogFiles, tail: LogTail) throws {
        connection = try files.openReader()
        self.tail = tail
    }

    func close() { connection.close() }

    /// Proves that both files answer.
    func check() throws {
        _ = try connection.first("SELECT max(i) FROM log") { $0.int64(0) }
        _ = try connection.first("SELECT r FROM watermark") { $0.int64(0) }
    }

    /// A page of a conversation's entries.
    func read(_ conversationID: String, _ range: EntryRange, limit: Int, bytesMax: Int) throws -> EntryPage {
        var page = EntryPage()
        guard let number = try number(of: conversationID) else { return page }
        // The tail first: what leaves it meanwhile is in the index by then.
        let runs = tail.runs(of: number)
        page.head = try runs.last?.last ?? LogIndexQueries.head(of: number, connection)
        let bounds: ClosedRange<Int>
        switch range {
        case .after(let sequence):
            guard sequence < page.head else { return page }
            bounds = sequence + 1...min(sequence + limit, page.head)
        case .before(let sequence):
            let last = min(sequence.map { $0 - 1 } ?? page.head, page.head)
            guard last >= 1 else { return page }
            bounds = max(last - limit + 1, 1)...last
        }
        try readIndexed(number, bounds, below: runs.first?.first ?? Int.max, bytesMax, &page)
        for run in runs where page.bytes.count < bytesMax { try readTail(run, bounds, bytesMax, &page) }
        return page
    }

    /// Every conversation that `user` is a member of.
    func positions(of user: String) throws -> [MemberPosition] {
        let members = try connection.rows(
            "SELECT m.c, n.name, m.delivered FROM member m JOIN conversation n ON n.c = m.c WHERE m.u = ?",
            user
        ) { ($0.int64(0), $0.string(1), $0.int(2)) }
        return try members.map { number, name, delivered in
            MemberPosition(conversationID: name, delivered: delivered, head: try head(of: number))
        }
    }

    /// One conversation as `user` has it; `nil` when they are no member.
    func position(of user: String, in conversationID: String) throws -> MemberPosition? {
        guard let number = try number(of: conversationID),
            let delivered = try connection.first(
                "SELECT delivered FROM member WHERE u = ? AND c = ?",
                user,
                number,
                read: { $0.int(0) }
            )
        else { return nil }
        return MemberPosition(conversationID: conversationID, delivered: delivered, head: try head(of: number))
    }

    private func head(of number: Int64) throws -> Int {
        try tail.head(of: number) ?? LogIndexQueries.head(of: number, connection)
    }

    private func number(of conversationID: String) throws -> Int64? {
        try connection.first("SELECT c FROM conversation WHERE name = ?", conversationID) { $0.int64(0) }
    }

    private func readIndexed(
        _ number: Int64,
        _ bounds: ClosedRange<Int>,
        below tailStart: Int,
        _ bytesMax: Int,
        _ page: inout EntryPage
    ) throws {
        let last = min(bounds.upperBound, tailStart - 1)
        guard bounds.lowerBound <= last else { return }
        let statement = try connection.prepare(
            "SELECT x.i, log.b FROM x JOIN log ON log.i = x.r WHERE x.i BETWEEN ? AND ? ORDER BY x.i"
        )
        defer { statement.reset() }
        try statement.bind(LogSchema.indexKey(conversation: number, sequence: bounds.lowerBound), at: 1)
        try statement.bind(LogSchema.indexKey(conversation: number, sequence: last), at: 2)
        while page.bytes.count < bytesMax, try statement.step() {
            page.append(sequence: statement.row.int(0) & LogSchema.sequenceMax, statement.row.text(1))
        }
    }

    private func readTail(
        _ run: LogTail.Run,
        _ bounds: ClosedRange<Int>,
        _ bytesMax: Int,
        _ page: inout EntryPage
    ) throws {
        let wanted = bounds.clamped(to: run.first...run.last)
        guard bounds.overlaps(run.first...run.last) else { return }
        let statement = try connection.prepare("SELECT b FROM log WHERE i = ?")
        for sequence in wanted where page.bytes.count < bytesMax {
            guard let row = run.row(of: sequence) else { return }
            try statement.bind(row, at: 1)
            guard try statement.step() else { return }
            page.append(sequence: sequence, statement.row.text(0))
            statement.reset()
        }
    }
}

extension EntryPage {
    fileprivate mutating func append(sequence: Int, _ text: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(contentsOf: text)
        entries.append(Entry(sequence: sequence, text: start..<bytes.count))
    }
}
