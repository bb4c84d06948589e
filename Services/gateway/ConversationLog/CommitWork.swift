/// A user in a conversation.
struct Membership: Hashable {
    let user: String
    let conversationID: String
}

/// The receipts of one member that are stored together: how far the last of them reach.
struct GatheredReceipt {
    var delivered = 0
    var read = 0
    /// The connection that they came from, when only one has said so.
    var origin: ConnectionID?
}

/// What an engine gathers for one commit.
struct CommitWork {
    var batches: [AppendBatch] = []
    var receipts: [Membership: GatheredReceipt] = [:]
    /// Numbers of outbox items.
    var settled: Set<Int64> = []

    var isEmpty: Bool { batches.isEmpty && receipts.isEmpty && settled.isEmpty }
}

extension CommitWork {
    /// Adds a receipt to what its member has said already.
    mutating func gather(
        _ receipt: Receipt,
        of membership: Membership,
        from origin: ConnectionID?,
        countMax: Int
    ) {
        guard receipts.count < countMax || receipts[membership] != nil else { return }
        var gathered = receipts[membership] ?? GatheredReceipt(origin: origin)
        if gathered.origin != origin { gathered.origin = nil }
        gathered.delivered = max(gathered.delivered, receipt.sequence)
        if receipt.kind == .read { gathered.read = max(gathered.read, receipt.sequence) }
        receipts[membership] = gathered
    }
}
