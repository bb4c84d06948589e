import Core

/// A `HistoryRequest` frame's fields: what `GET /api/messages` takes as its query, by the same rules.
struct HistoryFrame: Equatable, Sendable {
    static let limits = 1...200
    static let limitDefault = 50
    static let befores = 1...Int(Int32.max)
    static let afters = 0...Int(Int32.max)

    /// The other user of the conversation; or `conversationID` names it.
    let with: String?
    let conversationID: String?
    /// Entries before this sequence; or those `after` one, or the newest.
    let before: Int?
    let after: Int?
    /// The most entries; `limitDefault` when left out.
    let limit: Int?

    /// Which entries are asked for.
    var range: EntryRange { after.map(EntryRange.after) ?? .before(before) }
}

extension HistoryFrame {
    /// Reads the members of a frame that `sender` has sent.
    ///
    /// - Throws: `FrameProblem` `invalid_field`.
    init(_ members: FrameMembers, _ echo: FrameEcho, sender: String) throws(FrameProblem) {
        let with = try members.name(.with, "with")
        let conversationID = try members.optionalConversation(echo)
        guard (with == nil) != (conversationID == nil) else {
            throw .field("with, conversation_id", "one of them is required, and only one", .targetAmbiguous)
        }
        guard with != sender else { throw .field("with", "must be another user's id", .recipientForbidden) }
        let limit = try members.integer(.limit, "limit", in: Self.limits)
        let before = try members.integer(.before, "before", in: Self.befores)
        let after = try members.integer(.after, "after", in: Self.afters)
        guard before == nil || after == nil else { throw .field("before, after", "give one of them", .bothBounds) }
        self.init(with: with, conversationID: conversationID, before: before, after: after, limit: limit)
    }
}
