/// The texts of a conversation's newest entries, without a gap between them: pure.
///
/// Holds the last entries up to `last`, or none, when they are many or one's text is not at hand.
struct EntryRun {
    /// The most entries, and bytes of text, held of one conversation; over it none are, and they are read from the log.
    static let entriesMax = 64
    static let bytesMax = 64 * 1024

    private(set) var last = 0
    private(set) var byteCount = 0
    private var texts: [ArraySlice<UInt8>] = []

    /// An entry was committed.
    ///
    /// - Parameter text: Its stored text; `nil` when it is to be read from the log.
    mutating func add(_ sequence: Int, _ text: UnsafeRawBufferPointer?) {
        // Known already, for another member.
        guard sequence > last else { return }
        let hasGap = sequence != last + 1
        last = sequence
        if hasGap || text == nil || texts.count == Self.entriesMax { clear() }
        guard let text, byteCount + text.count <= Self.bytesMax else { return clear() }
        texts.append(Array(text)[...])
        byteCount += text.count
    }

    /// Forgets the texts.
    mutating func clear() {
        texts = []
        byteCount = 0
    }

    /// The texts of the last entries up to `head`.
    func texts(upTo head: Int) -> [ArraySlice<UInt8>] {
        head == last ? texts : head > last ? [] : texts.dropLast(last - head)
    }
}
