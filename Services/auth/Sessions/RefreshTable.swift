import Core

/// The new ids that refreshes gave out, for as long as the old sessions live on: a second refresh of one gets the same
/// id, which is nowhere else, since only hashes are stored.
struct RefreshTable {
    private struct Entry {
        var newID: String
        var until: Timestamp
    }

    private var entries: [SessionHash: Entry] = [:]
    private let countMax: Int

    /// - Parameter countMax: Refreshes held at once.
    init(countMax: Int) { self.countMax = countMax }

    /// Refreshes held.
    var count: Int { entries.count }

    /// The id that takes `old`'s place: the one given before, or else `newID`, held until `until`.
    ///
    /// - Returns: `nil` when the table is full.
    mutating func successor(of old: SessionHash, newID: String, until: Timestamp, now: Timestamp) -> String? {
        if let entry = entries[old], entry.until > now { return entry.newID }
        if entries.count >= countMax { entries = entries.filter { $0.value.until > now } }
        guard entries.count < countMax else { return nil }
        entries[old] = Entry(newID: newID, until: until)
        return newID
    }

    /// Forgets what is over.
    mutating func removeExpired(now: Timestamp) { entries = entries.filter { $0.value.until > now } }

    /// Forgets a refresh that came to nothing.
    mutating func remove(_ old: SessionHash) { entries[old] = nil }
}
