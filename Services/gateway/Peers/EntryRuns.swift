/// The texts of a conversation's newest entries, in runs without a gap: pure.
///
/// Between two runs lies what another gateway has appended meanwhile. Holds the last entries up to `last`, or none,
/// when they are many or one's text is not at hand.
struct EntryRuns {
    /// Entries that follow each other.
    struct Run: Equatable {
        let first: Int
        var texts: [ArraySlice<UInt8>] = []

        var last: Int { first + texts.count - 1 }
    }

    /// The most entries, bytes of text and runs held of one conversation; over it older ones are not, and are read from
    /// the log.
    static let entriesMax = 64
    static let bytesMax = 64 * 1024
    static let runsMax = 8

    private(set) var last = 0
    private(set) var byteCount = 0
    private var entryCount = 0
    private var runs: [Run] = []

    /// An entry was committed.
    ///
    /// - Parameter text: Its stored text; `nil` when it is to be read from the log.
    mutating func add(_ sequence: Int, _ text: UnsafeRawBufferPointer?) {
        // Known already, for another member.
        guard sequence > last else { return }
        let hasGap = sequence != last + 1
        last = sequence
        if text == nil || entryCount == Self.entriesMax || hasGap && runs.count == Self.runsMax { clear() }
        guard let text, byteCount + text.count <= Self.bytesMax else { return clear() }
        if hasGap || runs.isEmpty { runs.append(Run(first: sequence)) }
        runs[runs.count - 1].texts.append(Array(text)[...])
        byteCount += text.count
        entryCount += 1
    }

    /// Forgets the texts.
    private mutating func clear() {
        runs = []
        byteCount = 0
        entryCount = 0
    }

    /// The runs of the last entries up to `head`, oldest first; the last one ends there, and may have no texts.
    func runs(upTo head: Int) -> [Run] {
        var found = runs.filter { $0.first <= head }
        if let newest = found.last, newest.last > head {
            found[found.count - 1].texts.removeLast(newest.last - head)
        }
        if found.last?.last != head { found.append(Run(first: head + 1)) }
        return found
    }
}
