import Net

/// The append-only logs of all conversations: dense sequences 1, 2, 3 …, idempotent appends, membership and positions.
///
/// Calls return at once; answers come on threads of the log's own, and the caller hands them to its loop.
protocol ConversationLog: AnyObject, Sendable {
    /// Appends a batch's entries in order, in one commit with whatever else is queued.
    ///
    /// The log's `committed` callback gets the batch back with every outcome set, after the commit (DESIGN R8).
    func append(_ batch: Handover<AppendBatch>)

    /// Reads entries of a conversation.
    ///
    /// - Parameters:
    ///   - limit: The most entries.
    ///   - bytesMax: Stops after the entry that reaches it (never before one entry), counted from the range's own end:
    ///     the oldest entry of `.after`, the newest of `.before`.
    ///   - answer: Gets a page, or the reason why there is none.
    func read(
        _ conversationID: String,
        _ range: EntryRange,
        limit: Int,
        bytesMax: Int,
        _ answer: @escaping @Sendable (Result<EntryPage, any Error>) -> Void
    )

    /// Every conversation that `user` is a member of.
    func positions(of user: String, _ answer: @escaping @Sendable (Result<[MemberPosition], any Error>) -> Void)

    /// The same for one conversation; `nil` when `user` is no member.
    func position(
        of user: String,
        in conversationID: String,
        _ answer: @escaping @Sendable (Result<MemberPosition?, any Error>) -> Void
    )

    /// Moves a member's delivered position forward; never back. Stored soon, not at once: after a crash an entry may
    /// be sent again.
    func setDelivered(user: String, conversationID: String, sequence: Int)

    /// Fails when the log cannot be read.
    func check(_ answer: @escaping @Sendable (Result<Void, any Error>) -> Void)

    /// Commits what is queued and stops.
    func close() async
}
