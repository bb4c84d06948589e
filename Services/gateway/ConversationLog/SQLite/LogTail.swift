import Net
import Synchronization

/// Committed entries that the index file does not hold yet, by conversation.
///
/// Two generations: what was committed since the last index run, and what that run is writing. A reader looks here
/// first and in the index file second; an entry leaves here only after it is in the file, so it is always found.
final class LogTail: Sendable {
    /// One committed entry.
    struct Item {
        let conversation: Int64
        let sequence: Int
        let row: Int64
        let hash: Int64
    }

    /// A conversation's entries, dense from `first` on.
    struct Run {
        var first: Int
        var rows: [Int64] = []
        var hashes: [Int64] = []

        var last: Int { first + rows.count - 1 }

        func row(of sequence: Int) -> Int64? {
            let offset = sequence - first
            return rows.indices.contains(offset) ? rows[offset] : nil
        }
    }

    typealias Generation = [Int64: Run]

    private struct State {
        var active: Generation = [:]
        var indexing: Generation = [:]
        var activeCount = 0
        /// The highest row of `active` and all before it.
        var lastRow: Int64 = 0
        /// The highest row of `indexing` and all before it.
        var indexingRow: Int64 = 0
    }

    private let state = Mutex(State())
    private let itemsMax: Int

    /// - Parameter itemsMax: Entries that may wait for the index, about 32 bytes each: far more than a run takes, so
    ///   that only an index file that cannot be written gets there.
    init(itemsMax: Int = 4_000_000) { self.itemsMax = itemsMax }

    /// Whether nothing more may be committed until the index file has taken some.
    var isFull: Bool { state.withLock { $0.activeCount >= itemsMax } }

    /// Publishes committed entries, in the order of their rows.
    ///
    /// - Returns: How many entries wait for an index run.
    func add(_ items: [Item]) -> Int {
        state.withLock { state in
            for item in items {
                state.active[item.conversation, default: Run(first: item.sequence)].append(item)
                state.lastRow = item.row
            }
            state.activeCount += items.count
            return state.activeCount
        }
    }

    /// The runs of a conversation, oldest first.
    func runs(of conversation: Int64) -> [Run] {
        state.withLock { state in
            [state.indexing[conversation], state.active[conversation]].compactMap { $0 }
        }
    }

    /// The last sequence of a conversation that is here; `nil` when none is.
    func head(of conversation: Int64) -> Int? {
        state.withLock { state in (state.active[conversation] ?? state.indexing[conversation])?.last }
    }

    /// Begins an index run: what has been committed so far, and the watermark that it brings the index to.
    ///
    /// - Returns: `nil` when there is nothing to index.
    func beginIndexing() -> (entries: Generation, watermark: Int64)? {
        state.withLock { state -> Handover<(Generation, Int64)>? in
            if state.indexing.isEmpty {
                guard state.activeCount > 0 else { return nil }
                state.indexing = state.active
                state.active = [:]
                state.activeCount = 0
                state.indexingRow = state.lastRow
            }
            return Handover((state.indexing, state.indexingRow))
        }.map { (entries: $0.value.0, watermark: $0.value.1) }
    }

    /// Ends an index run: its entries are in the file.
    func endIndexing() {
        state.withLock { $0.indexing = [:] }
    }
}

extension LogTail.Run {
    fileprivate mutating func append(_ item: LogTail.Item) {
        rows.append(item.row)
        hashes.append(item.hash)
    }
}
