/// At which gateways users are, as presence has said (DESIGN R4): pure.
///
/// An answer is good for the lease from the *sending* of its question, "nowhere" as any other: what presence learns
/// after it was asked is unknown here no longer than the lease, however slow the answer was. What is older is the last
/// known place, of use only while presence is silent.
struct LocationCache {
    /// The most users held; when full, all are forgotten and asked for again.
    static let usersMax = 200_000

    /// Where a user is.
    enum Place: Equatable {
        /// The gateways' ids; none for nowhere.
        ///
        /// `isEnding`: half of the lease is over, and who asks now has the next answer before this one runs out.
        case current([String], isEnding: Bool)
        /// Presence has to be asked; the last that it said, none if it never did.
        case lastKnown([String])
    }

    private struct Entry {
        var gatewayIDs: [String]
        var validUntil: Int64
        var endsFrom: Int64
    }

    private var entries: [String: Entry] = [:]
    private let usersMax: Int

    init(usersMax: Int = LocationCache.usersMax) { self.usersMax = usersMax }

    var count: Int { entries.count }

    /// Where the user is, at a monotonic time in milliseconds.
    func place(of userID: String, now: Int64) -> Place {
        guard let entry = entries[userID] else { return .lastKnown([]) }
        return now < entry.validUntil
            ? .current(entry.gatewayIDs, isEnding: now >= entry.endsFrom) : .lastKnown(entry.gatewayIDs)
    }

    /// Presence has answered a question.
    ///
    /// - Parameters:
    ///   - gatewayIDs: None for nowhere.
    ///   - askedAt: When the question was sent: the lease counts from there.
    ///   - lease: In milliseconds.
    mutating func learn(_ userID: String, _ gatewayIDs: [String], askedAt: Int64, lease: Int64) {
        if entries.count >= usersMax, entries[userID] == nil { entries.removeAll() }
        entries[userID] = Entry(
            gatewayIDs: gatewayIDs,
            validUntil: askedAt + lease,
            endsFrom: askedAt + lease / 2
        )
    }

    /// Presence has another epoch: what the former one said is no more than the last known.
    mutating func expireAll() {
        for userID in entries.keys { entries[userID]?.validUntil = .min }
    }

    /// A gateway's registration has ended: its users are not there any more.
    mutating func forget(gateway gatewayID: String) {
        for (userID, entry) in entries where entry.gatewayIDs.contains(gatewayID) {
            entries[userID]?.gatewayIDs = entry.gatewayIDs.filter { $0 != gatewayID }
            entries[userID]?.validUntil = .min
        }
    }
}
