import Core
import Storage

/// Reads committed entries on a connection of its own; one thread at a time uses it.
final class LogReader {
    let connection: Connection
    let tail: LogTail
    private let forward: Statement
    private let backward: Statement
    private let byRow: Statement

    init(files: LogFiles, tail: LogTail) throws {
        connection = try files.openReader()
        self.tail = tail
        let indexed = "SELECT x.i, log.b FROM x JOIN log ON log.i = x.r WHERE x.i BETWEEN ? AND ? ORDER BY x.i"
        forward = try connection.prepare(indexed)
        backward = try connection.prepare(indexed + " DESC")
        byRow = try connection.prepare("SELECT b FROM log WHERE i = ?")
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
        let extent = try extent(of: number)
        page.head = extent.head
        let bounds: ClosedRange<Int>
        let isBackwards: Bool
        switch range {
        case .after(let sequence):
            // Nothing comes before 1; a key below it would lie in the conversation before this one.
            let first = max(sequence, 0)
            guard first < page.head else { return page }
            bounds = first + 1...min(first + min(limit, page.head), page.head)
            isBackwards = false
        case .before(let sequence):
            let end = min(sequence ?? Int.max, page.head + 1)
            guard end > 1 else { return page }
            bounds = max(end - min(limit, page.head), 1)...end - 1
            // Newest first, so that what `bytesMax` leaves out is at the far end and the next page begins there.
            isBackwards = true
        }
        try forEachEntry(of: extent, in: bounds, isBackwards: isBackwards) { sequence, text in
            page.append(sequence: sequence, text)
            return page.bytes.count < bytesMax
        }
        if isBackwards { page.entries.reverse() }
        return page
    }

    // MARK: - Entries wherever they are

    /// How far a conversation reaches, and its part that is not indexed.
    struct Extent {
        let number: Int64
        let runs: [LogTail.Run]
        let head: Int
    }

    func extent(of number: Int64) throws -> Extent {
        // The tail first: what leaves it meanwhile is in the index by then.
        let runs = tail.runs(of: number)
        let head = try runs.last?.last ?? LogIndexQueries.head(of: number, connection)
        return Extent(number: number, runs: runs, head: head)
    }

    func number(of conversationID: String) throws -> Int64? {
        try connection.first("SELECT c FROM conversation WHERE name = ?", conversationID) { $0.int64(0) }
    }

    /// Gives entries to `body`, one after the other, until it says false.
    func forEachEntry(
        of extent: Extent,
        in bounds: ClosedRange<Int>,
        isBackwards: Bool,
        _ body: (Int, UnsafeRawBufferPointer) -> Bool
    ) throws {
        let lastIndexed = min(bounds.upperBound, (extent.runs.first?.first ?? Int.max) - 1)
        let indexed = bounds.lowerBound <= lastIndexed ? bounds.lowerBound...lastIndexed : nil
        if isBackwards {
            for run in extent.runs.reversed() {
                guard try forEachEntry(of: run, in: bounds, isBackwards: true, body) else { return }
            }
            if let indexed { _ = try forEachIndexed(extent.number, indexed, backward, body) }
        } else {
            if let indexed, try !forEachIndexed(extent.number, indexed, forward, body) { return }
            for run in extent.runs {
                guard try forEachEntry(of: run, in: bounds, isBackwards: false, body) else { return }
            }
        }
    }

    /// False when `body` has had enough; so below.
    private func forEachIndexed(
        _ number: Int64,
        _ bounds: ClosedRange<Int>,
        _ statement: Statement,
        _ body: (Int, UnsafeRawBufferPointer) -> Bool
    ) throws -> Bool {
        defer { statement.reset() }
        try statement.bind(LogSchema.indexKey(conversation: number, sequence: bounds.lowerBound), at: 1)
        try statement.bind(LogSchema.indexKey(conversation: number, sequence: bounds.upperBound), at: 2)
        while try statement.step() {
            guard body(statement.row.int(0) & LogSchema.sequenceMax, statement.row.text(1)) else { return false }
        }
        return true
    }

    private func forEachEntry(
        of run: LogTail.Run,
        in bounds: ClosedRange<Int>,
        isBackwards: Bool,
        _ body: (Int, UnsafeRawBufferPointer) -> Bool
    ) throws -> Bool {
        guard bounds.overlaps(run.first...run.last) else { return true }
        let wanted = bounds.clamped(to: run.first...run.last)
        for offset in 0..<wanted.count {
            let sequence = isBackwards ? wanted.upperBound - offset : wanted.lowerBound + offset
            guard let row = run.row(of: sequence) else { return true }
            defer { byRow.reset() }
            try byRow.bind(row, at: 1)
            guard try byRow.step(), body(sequence, byRow.row.text(0)) else { return false }
        }
        return true
    }
}

extension EntryPage {
    fileprivate mutating func append(sequence: Int, _ text: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(contentsOf: text)
        entries.append(Entry(sequence: sequence, text: start..<bytes.count))
    }
}
