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
        guard limit > 0, let number = try number(of: conversationID) else { return page }
        // The tail first: what leaves it meanwhile is in the index by then.
        let runs = tail.runs(of: number)
        page.head = try runs.last?.last ?? LogIndexQueries.head(of: number, connection)
        let bounds: ClosedRange<Int>
        switch range {
        case .after(let sequence):
            // Nothing comes before 1; a key below it would lie in the conversation before this one.
            let first = max(sequence, 0)
            guard first < page.head else { return page }
            bounds = first + 1...min(first + min(limit, page.head), page.head)
        case .before(let sequence):
            let end = min(sequence ?? Int.max, page.head + 1)
            guard end > 1 else { return page }
            bounds = max(end - min(limit, page.head), 1)...end - 1
            // Newest first, so that what `bytesMax` leaves out is at the far end and the next page begins there.
            for run in runs.reversed() where page.bytes.count < bytesMax {
                try readTail(run, bounds, bytesMax, isBackwards: true, &page)
            }
            try readIndexed(number, bounds, below: runs.first?.first ?? Int.max, bytesMax, isBackwards: true, &page)
            page.entries.reverse()
            return page
        }
        try readIndexed(number, bounds, below: runs.first?.first ?? Int.max, bytesMax, isBackwards: false, &page)
        for run in runs where page.bytes.count < bytesMax {
            try readTail(run, bounds, bytesMax, isBackwards: false, &page)
        }
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
        isBackwards: Bool,
        _ page: inout EntryPage
    ) throws {
        let last = min(bounds.upperBound, tailStart - 1)
        guard bounds.lowerBound <= last else { return }
        let statement = try connection.prepare(
            "SELECT x.i, log.b FROM x JOIN log ON log.i = x.r WHERE x.i BETWEEN ? AND ? ORDER BY x.i"
                + (isBackwards ? " DESC" : "")
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
        isBackwards: Bool,
        _ page: inout EntryPage
    ) throws {
        guard bounds.overlaps(run.first...run.last) else { return }
        let wanted = bounds.clamped(to: run.first...run.last)
        let order = isBackwards ? Array(wanted.reversed()) : Array(wanted)
        let statement = try connection.prepare("SELECT b FROM log WHERE i = ?")
        for sequence in order where page.bytes.count < bytesMax {
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
