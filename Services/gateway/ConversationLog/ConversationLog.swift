import Net

/// The append-only logs of all conversations: dense sequences 1, 2, 3 …, idempotent appends, membership and
/// positions.
///
/// Calls return at once; answers come on threads of the log's own, and the caller hands them to its loop. Membership
/// follows the entries (DESIGN §4, Members): the engine works it out in the step that appends.
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

    /// Every conversation that `user` is a member of, or was and has not been sent all of; and those of `naming` that
    /// they ever were a member of.
    func positions(
        of user: String,
        naming: [String],
        _ answer: @escaping @Sendable (Result<[MemberPosition], any Error>) -> Void
    )

    /// The same for one conversation; `nil` when `user` never was a member.
    func position(
        of user: String,
        in conversationID: String,
        _ answer: @escaping @Sendable (Result<MemberPosition?, any Error>) -> Void
    )

    /// Who gets the conversation's entries now.
    func members(of conversationID: String, _ answer: @escaping @Sendable (Result<[String], any Error>) -> Void)

    /// Moves a member's positions forward; never back, nor past the head.
    ///
    /// Stored soon, not at once (after a crash an entry may be sent again), and then told to the log's `moved`
    /// callback. Reading implies having been delivered.
    func move(_ receipt: Receipt, of user: String, from origin: ConnectionID?)

    /// A page of conversations, the one whose state changed last first.
    func conversations(
        _ query: ConversationQuery,
        _ answer: @escaping @Sendable (Result<ConversationPage, any Error>) -> Void
    )

    /// One conversation; `nil` when there is none of that name.
    func conversation(
        _ conversationID: String,
        for user: String,
        _ answer: @escaping @Sendable (Result<ConversationSummary?, any Error>) -> Void
    )

    /// What is due, oldest first.
    func outbox(
        after number: Int64,
        limit: Int,
        _ answer: @escaping @Sendable (Result<[OutboxItem], any Error>) -> Void
    )

    /// An item of the outbox has been seen to.
    ///
    /// Of a `route` it says that presence's stored answer knows the conversation: its queue or its agent.
    func settle(_ number: Int64)

    /// Fails when the log cannot be read.
    func check(_ answer: @escaping @Sendable (Result<Void, any Error>) -> Void)

    /// Commits what is queued and stops.
    func close() async
}

/// How far a member has taken, or read, a conversation.
struct Receipt: Equatable, Sendable {
    enum Kind: Sendable { case delivered, read }

    let kind: Kind
    let conversationID: String
    let sequence: Int
}
